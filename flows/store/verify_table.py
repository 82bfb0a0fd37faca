"""Tables of what a verification found and what a repair did."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from engine.store.evidence import Fault
from engine.store.verify import VerifyReport
from flows.console import count, facts
from flows.store.repair import RepairReport

_LONGEST_LIST = 30


def show_verification(console: Console, found: VerifyReport) -> None:
    """Print what was read and what is wrong."""
    console.print(
        facts(
            "Verification",
            [
                ("store", found.url),
                ("blocks", f"{found.score_blocks:,} scored, {found.attribution_blocks:,} explained"),
                *((f"explanations {name}", count(each, "block")) for name, each in found.set_blocks.items()),
                ("read", f"{count(found.objects, 'object')}, {found.bytes / 1e6:,.1f} MB"),
            ],
        )
    )
    if found.leftovers:
        console.print(f"{count(len(found.leftovers), 'temporary file')} of a killed run: harmless.")
    if found.run:
        under_way = f", {count(found.unfinished, 'block')} not finished yet" if found.unfinished else ""
        console.print(f"Held by {found.run}{under_way}.", style="yellow", soft_wrap=True)
    if found.not_in_catalogue:
        blocks = count(found.not_in_catalogue, "block")
        console.print(f"The catalogue lacks {blocks}: 'whyspec catalogue {found.url}' adds them.")
    if found.ok:
        console.print("Everything is as the ledger says.", style="bold green")
        return
    _show_faults(console, count(len(found.faults), "fault"), found.faults)


def show_repair(console: Console, done: RepairReport) -> None:
    """Print what was wrong, what was done about it and what is still wrong."""
    if done.before.ok:
        show_verification(console, done.before)
        return
    again = f"{count(done.scored, 'score block')}, {count(done.explained, 'attribution block')}"
    console.print(
        facts(
            "Repair",
            [
                ("store", done.before.url),
                ("faults", f"{len(done.before.faults):,} before, {len(done.after.faults):,} after"),
                ("run again", again),
                ("restored", count(done.restored, "object")),
            ],
        )
    )
    for block in done.changed:
        console.print(
            f"{block} came out otherwise than it was recorded: other code, libraries or processor.",
            style="yellow",
        )
    if done.unrepairable:
        _show_faults(
            console, f"{count(len(done.unrepairable), 'fault')} that cannot be repaired", done.unrepairable
        )
    if done.ok:
        console.print("Everything is as the ledger says.", style="bold green")
    else:
        _show_faults(console, f"{count(len(done.after.faults), 'fault')} left", done.after.faults)


def _show_faults(console: Console, title: str, faults: tuple[Fault, ...]) -> None:
    table = Table(title=title, title_style="bold red", title_justify="left", box=None)
    for name in ("kind", "where", "what", "remedy"):
        table.add_column(name, overflow="fold")
    for fault in faults[:_LONGEST_LIST]:
        table.add_row(fault.kind, fault.where, fault.what, fault.remedy)
    console.print(table)
    if len(faults) > _LONGEST_LIST:
        console.print(f"... and {len(faults) - _LONGEST_LIST} more: use --json for all of them.")
