"""The occlusion benchmark in the terminal: tables of 80 columns."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from engine.bench.results import Case, Measurement, OcclusionBench
from flows.console import facts

_MIB = 2**20


def show_bench(console: Console, bench: OcclusionBench) -> None:
    """Print the machine, a table per case, rounding, curves and what was skipped."""
    machine, rates = bench.machine, bench.rates
    load = (
        "" if machine.load_after is None else f", load {machine.load_before:.1f} to {machine.load_after:.1f}"
    )
    device = "" if machine.device_name == machine.processor else f" ({machine.device_name})"
    console.print(
        facts(
            f"{bench.model}: {bench.pixels:,} pixels, {bench.masked_pixels:,} masked",
            [
                ("machine", f"{machine.processor}, {machine.cores} cores{load}"),
                (
                    "run on",
                    f"{machine.device}{device}, {machine.threads} threads, torch {machine.torch_version}",
                ),
                ("product", f"{rates.multiply_adds_per_second / 1e9:.0f} G multiply-adds/s, float32"),
                ("copy", f"{rates.bytes_per_second / 1e9:.1f} GB/s, read and written"),
                ("seconds", f"per spectrum, of the quickest of {bench.repeats} runs"),
            ],
        )
    )
    for case in bench.cases:
        console.print()
        console.print(_case_table(case))
        for one in case.measurements:
            console.print(f"[dim]{one.approach}: {_how(one)}[/dim]")
    if bench.skipped:
        console.print()
    for skipped in bench.skipped:
        console.print(
            f"{skipped.approach}: skipped, {skipped.reason}. {skipped.remedy}", markup=False, highlight=False
        )
    console.print()
    console.print(_rounding_table(bench))
    for curve in bench.curves:
        console.print()
        console.print(f"[bold]Seams: seconds by {curve.name}, preset {curve.preset}[/bold]")
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_row(curve.name, *(str(point.x) for point in curve.points), style="dim")
        table.add_row("seconds", *(_seconds(point.seconds) for point in curve.points))
        console.print(table)


def _case_table(case: Case) -> Table:
    title = f"Preset {case.preset}, {case.baselines} baselines, {case.window_count:,} windows"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("approach", no_wrap=True)
    for name in ("seconds", "× seams", "core-min", "peak MiB", "plan MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    ours = case.measurements[-1].seconds
    for one in case.measurements:
        table.add_row(
            one.approach,
            ("≈ " if one.extrapolated else "") + _seconds(one.seconds),
            _ratio(one.seconds / ours),
            _seconds(one.core_minutes),
            _mebibytes(one.peak_bytes),
            _mebibytes(one.budget_bytes),
        )
    limit = case.limit
    bound = "arithmetic" if limit.arithmetic_seconds >= limit.traffic_seconds else "traffic"
    name = f"limit, {bound}"
    table.add_row(name, _seconds(limit.seconds), _ratio(limit.seconds / ours), "", "", "", style="dim")
    return table


def _how(one: Measurement) -> str:
    if not one.extrapolated:
        return f"{one.what}; in full"
    return f"{one.what}; extrapolated from {one.forwards_measured:,} of {one.forwards_total:,} forwards"


def _rounding_table(bench: OcclusionBench) -> Table:
    table = Table(
        title="Largest error against float64 passes, over the map's std",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
    )
    table.add_column("preset", no_wrap=True)
    for name in ("window", "compared", "std (nat)", "seams", "dense float32"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in bench.rounding:
        table.add_row(
            one.preset,
            str(one.window),
            str(one.compared),
            f"{one.standard_deviation:.3g}",
            *("-" if value is None else f"{value:.1e}" for value in (one.seams, one.dense)),
        )
    return table


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _mebibytes(value: int | None) -> str:
    return "-" if value is None else f"{value / _MIB:,.0f}"
