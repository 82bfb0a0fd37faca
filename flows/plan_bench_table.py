"""The plan benchmark in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from engine.bench.plan import PlanBench, PlanCase
from flows.console import facts

_MIB = 2**20


def show_plan_bench(console: Console, bench: PlanBench) -> None:
    """Print a line per case."""
    machine = bench.machine
    load = (
        "" if machine.load_after is None else f", load {machine.load_before:.1f} to {machine.load_after:.1f}"
    )
    console.print(
        facts(
            f"Plan: {bench.files:,} files, {bench.spectra:,} spectra, {bench.blocks:,} blocks",
            [
                ("machine", f"{machine.processor}, {machine.cores} cores{load}"),
                ("saved plan", f"{bench.ledger_bytes / _MIB:.1f} MiB"),
                ("seconds", f"of the quickest of {bench.repeats} runs"),
            ],
        )
    )
    console.print()
    table = Table(box=None, pad_edge=False)
    for name in ("release", "seconds", "files/s", "peak MiB", "files"):
        table.add_column(name, justify="left" if name in ("release", "files") else "right")
    for case in bench.cases:
        table.add_row(*_row(case, bench.files))
    console.print(table)


def _row(case: PlanCase, files: int) -> tuple[str, ...]:
    peak = "-" if case.peak_bytes is None else f"{case.peak_bytes / _MIB:,.0f}"
    states = ", ".join(f"{number:,} {state.replace('-', ' ')}" for state, number in case.counts.items())
    return case.name, f"{case.seconds:.2f}", f"{files / case.seconds:,.0f}", peak, states
