"""The pipeline benchmark in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from engine.bench.pipeline import PipelineBench, PipelineRun
from engine.bench.read_ahead import ReadAhead
from flows.console import count, duration, facts

_MIB = 2**20


def show_pipeline(console: Console, bench: PipelineBench) -> None:
    """Print what a run took, what its parts take, and what that leaves."""
    machine, run = bench.machine, bench.run
    load = (
        "" if machine.load_after is None else f", load {machine.load_before:.1f} to {machine.load_after:.1f}"
    )
    console.print(
        facts(
            f"Pipeline: {run.spectra:,} spectra ({bench.distinct:,} distinct) in {run.files:,} files",
            [
                ("machine", f"{machine.processor}, {machine.cores} cores{load}"),
                ("workers", f"{bench.workers}, one thread each; model {bench.model}"),
                ("explained", f"{run.explained:,} of {run.outliers:,} outliers"),
                ("throughput", f"{run.spectra / run.seconds:,.0f} spectra/s; {duration(run.seconds)}"),
                (
                    "overhead",
                    f"{bench.overhead:+.1%} beyond the parts ({bench.stage_overhead:+.1%} in the stages)",
                ),
                ("bottleneck", bench.bottleneck),
                ("driver", f"{run.driver_bytes / _MIB:,.0f} MiB at its peak, {_growth(bench)}"),
                ("read-ahead", _overlap(bench.read_ahead)),
            ],
        )
    )
    console.print()
    console.print(_parts_table(bench))
    console.print()
    console.print(_runs_table(bench))


def _overlap(ahead: ReadAhead) -> str:
    return (
        f"{ahead.hidden:.0%} hidden: reading {ahead.reading_seconds:.1f} s, computing "
        f"{ahead.computing_seconds:.1f} s, both {ahead.seconds:.1f} s "
        f"({ahead.delay_seconds * 1e3:.0f} ms per request)"
    )


def _growth(bench: PipelineBench) -> str:
    small = bench.small
    return (
        f"{bench.driver_growth_bytes / _MIB:+,.0f} MiB against {small.spectra:,} spectra "
        f"in {small.files:,} files"
    )


def _parts_table(bench: PipelineBench) -> Table:
    table = Table(title="Parts", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("part", no_wrap=True)
    table.add_column("core time each", justify="right")
    table.add_column("of the run", justify="right")
    each = {
        "decode": f"{bench.parts.decode * 1e6:,.0f} us",
        "normalise": f"{bench.parts.normalise * 1e6:,.0f} us",
        "score": f"{bench.parts.score * 1e6:,.0f} us",
        "explain": f"{bench.parts.explain:.2f} s",
    }
    for part, share in bench.shares.items():
        table.add_row(part, each.get(part, ""), f"{share:.1%}")
    return table


def _runs_table(bench: PipelineBench) -> Table:
    table = Table(title="Seconds", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("run", "begin", "scoring", "explaining", "end", "all", "retries"):
        table.add_column(name, justify="left" if name == "run" else "right", no_wrap=True)
    for run in (bench.small, bench.run):
        table.add_row(*_run_row(run))
    table.add_row("the parts alone", "", "", "", "", f"{bench.ideal_seconds:,.1f}", "")
    return table


def _run_row(run: PipelineRun) -> tuple[str, ...]:
    seconds = (run.begin_seconds, run.scoring_seconds, run.explaining_seconds, run.end_seconds, run.seconds)
    return (count(run.spectra, "spectrum"), *(f"{each:,.1f}" for each in seconds), str(run.retries))
