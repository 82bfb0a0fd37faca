"""Table of what a store holds and who works on it."""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from engine.store.routing import unmodelled
from engine.store.run_lock import TIMING
from engine.store.run_state import RunState
from engine.store.status import RunningCommand, SetStatus, StoreStatus, status_of
from flows.console import count, duration, facts

_LIFE = {
    "alive": ("it is alive", "green"),
    "gone": ("its process is gone: the next command on the store takes over at once", "red"),
    "unknown": (
        "no sign of life while watching; the next command on the store takes over after a minute without",
        "yellow",
    ),
}


def status_table(status: StoreStatus) -> RenderableType:
    """The status as tables."""
    todo_score = status.score_blocks_planned - status.score_blocks
    todo_explain = status.attribution_blocks_planned - status.attribution_blocks
    blocks = f"{status.score_blocks:,} scored, {status.attribution_blocks:,} explained"
    if todo_score or todo_explain:
        blocks += f"; to do: {todo_score:,} to score, {todo_explain:,} to explain"
    rows = [
        ("store", status.url),
        ("files", f"{status.files:,}"),
        ("spectra", f"{status.spectra:,}, {status.scored:,} of them scored"),
        ("outliers", f"{status.outliers:,}, {status.explained:,} of them explained"),
        *(("model", str(model)) for model in status.models),
        ("blocks", blocks),
        *((f"explanations {each.name}", _of_set(each)) for each in status.sets),
        ("last change", status.last_change or "none yet"),
    ]
    if status.superseded or status.gone:
        rows.insert(
            4,
            (
                "of these",
                f"{status.superseded:,} rows superseded (in no answer), {status.gone:,} of vanished files",
            ),
        )
    if without := unmodelled(status.classes):
        rows.append(("no model for", without))
    held = _running(status.running) if status.running is not None else [Text(_idle(status), style="bold")]
    return Group(facts("Status", rows), Text(), *held)


def _of_set(found: SetStatus) -> str:
    left = found.blocks_planned - found.blocks
    to_do = f"; {count(left, 'block')} to do" if left else ""
    return f"{found.explained:,} outliers explained by {found.method}{to_do}"


def watch_status(console: Console, store: str, status: StoreStatus) -> None:
    """Show the status, anew every few seconds, until nobody works on the store."""
    with Live(status_table(status), console=console, auto_refresh=False) as shown:
        while status.running is not None and status.running.life != "gone":
            time.sleep(TIMING.beat / 2)
            status = status_of(store)
            shown.update(status_table(status), refresh=True)


def _idle(status: StoreStatus) -> str:
    if status.is_complete:
        return "Nobody works on it; everything that was planned is done."
    return "Nobody works on it; the last command did not end: the same command continues it."


def _running(running: RunningCommand) -> list[RenderableType]:
    said, style = _LIFE[running.life]
    who = str(running.holder) if running.holder is not None else "a command whose lock is damaged"
    return [Text(f"Held by {who}: {said}.", style=style), facts("", _progress(running.state))]


def _progress(state: RunState) -> list[tuple[str, str]]:
    rows = [("stage", state.stage or "get ready")]
    if state.files and not state.blocks:
        rows.append(("files listed", f"{state.files_listed:,} of {state.files:,}"))
    if state.blocks:
        rows += [
            ("blocks", f"{state.blocks_done:,} of {state.blocks:,}"),
            ("spectra", f"{state.spectra_done:,} of {state.spectra:,}, {state.spectra_per_second:,.1f}/s"),
        ]
    rows.append(("outliers", f"{state.outliers:,} found, {state.explained:,} explained"))
    if state.retries or state.quarantined:
        rows.append(("trouble", f"{state.retries:,} retries, {count(state.quarantined, 'file')} quarantined"))
    if state.seconds_left is not None:
        rows.append(("time left", f"{duration(state.seconds_left)} in this stage"))
    return rows
