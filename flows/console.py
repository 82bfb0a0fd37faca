"""Console: results on standard output, everything about them on standard error."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from models.errors import WhyspecError
from models.plain_text import escaped, printable

_PLURALS = {"spectrum": "spectra"}
_UNBOUNDED = 1_000
_STYLES = {"where": "cyan", "got": "yellow", "allowed": "green", "remedy": "bold"}


def messages(as_json: bool) -> Console:
    """Where tables and progress go: standard error when standard output is for JSON."""
    return _console(stderr=as_json)


def notes() -> Console:
    """Standard error: progress, warnings, errors."""
    return _console(stderr=True)


class _PlainConsole(Console):
    """A console that shows text as it is: names from files are neither markup nor commands to a terminal."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        # Again: what is no plain string did not come through the other.
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


def _console(*, stderr: bool) -> Console:
    """Where it is not a terminal, lines are not wrapped."""
    console = _PlainConsole(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    return console


def write_json(value: object) -> None:
    """One JSON document on standard output; see :func:`json_ready`."""
    text = json.dumps(json_ready(value), indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(f"{escaped(text)}\n")


def show_error(error: WhyspecError) -> None:
    """The parts of an error on standard error; in a terminal in a panel."""
    console, title = notes(), f"{error.kind} (exit status {error.exit_code})"
    details = [(name, text) for name, text in error.details() if text]
    if not console.is_terminal:
        lines = (f"{name:<8} {text}" for name, text in details)
        console.print(title, error.what, *lines, sep="\n", soft_wrap=True)
        return
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for name, text in details:
        rows.add_row(name, Text(text, style=_STYLES[name]))
    body = Group(Text(error.what, style="bold red"), rows)
    console.print(Panel(body, title=title, title_align="left", border_style="red"))


def show_next(console: Console, *commands: tuple[object, ...]) -> None:
    """Print the commands that make sense now, each given by its words; a shell takes them as they stand."""
    text = "\n      ".join(shlex.join(["whyspec", *map(str, words)]) for words in commands)
    console.print(f"\nNext: {text}", soft_wrap=True)


def facts(title: str, pairs: list[tuple[str, str]]) -> Table:
    """A table of two columns: names and values."""
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, value)
    return table


def show_whole(console: Console, table: Table) -> None:
    """Print a table as wide as it has to be: nothing in it is shortened, whatever the terminal's width."""
    # console.print(width=...) would be held to the terminal's width.
    segments = console.render(table, console.options.update(max_width=_UNBOUNDED))
    console.print(Segments(segments), crop=False, end="")


def count(number: int, noun: str) -> str:
    """``1 file``, ``1,200 files``, ``2 spectra``, ``2 anomalies``."""
    if number != 1:
        noun = _PLURALS.get(noun) or (f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s")
    return f"{number:,} {noun}"


def data_size(number: float) -> str:
    """Bytes for people: ``1.2 GB``."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e3:.3g} kB"


def duration(seconds: float) -> str:
    """``8.2 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def json_ready(value: Any) -> Any:
    """The value in dicts, lists and numbers; numbers that are not finite, which JSON has not, are None."""
    if isinstance(value, dict):
        return {str(name): json_ready(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(part) for part in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value


def report_name(store: str, explanation: str = "default") -> str:
    """Name of the report that goes with a set of a store's explanations."""
    own = "" if explanation == "default" else f"-{explanation}"
    return f"{PurePosixPath(store).stem or 'odd'}{own}.html"


@contextmanager
def counting(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar; call what it gives with (done, total)."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
