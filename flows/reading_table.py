"""The reading benchmark in the terminal: tables of 80 columns."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from engine.bench.reading import ReadingBench, ReadingCase
from flows.console import facts

_MEGABYTE = 1e6


def show_reading(console: Console, bench: ReadingBench) -> None:
    """Print the machine, and a table per file with what each approach does."""
    machine = bench.machine
    load = (
        "" if machine.load_after is None else f", load {machine.load_before:.1f} to {machine.load_after:.1f}"
    )
    console.print(
        facts(
            "Reading: from a file in memory to arrays, on one core",
            [
                ("machine", f"{machine.processor}, {machine.cores} cores{load}"),
                ("µs", f"per spectrum, of the quickest and the median of {bench.repeats} runs"),
                ("MB read", "by system calls; what a memory map brings in is not counted"),
            ],
        )
    )
    for case in bench.cases:
        console.print()
        console.print(_table(case))
        for one in case.measurements:
            console.print(f"[dim]{one.approach}: {one.what}[/dim]")
        for skipped in case.skipped:
            console.print(
                f"{skipped.approach}: skipped, {skipped.reason}. {skipped.remedy}".rstrip(),
                markup=False,
                highlight=False,
            )


def _table(case: ReadingCase) -> Table:
    kind = "DESI coadd" if case.subject == "coadd" else "SDSS plate"
    title = f"{kind} of {case.spectra:,} spectra, {case.file_bytes / _MEGABYTE:,.0f} MB"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("approach", no_wrap=True)
    for name in ("µs", "median", "peak MB", "MB read"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in case.measurements:
        table.add_row(
            one.approach,
            f"{one.microseconds:,.0f}",
            f"{one.median_microseconds:,.0f}",
            _megabytes(one.peak_bytes),
            _megabytes(one.bytes_read),
        )
    return table


def _megabytes(value: int | None) -> str:
    return "-" if value is None else f"{value / _MEGABYTE:,.0f}"
