"""Results of the benchmarks in the terminal: tables of 80 columns."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from flows.bench.approaches import Skipped
from flows.bench.devices import Machine
from flows.bench.lime import LimeBench
from flows.bench.match import MatchBench
from flows.bench.pipeline_results import PipelineBench, PipelineRun
from flows.bench.plan import PlanBench, TimedCommand
from flows.bench.query import QueryBench
from flows.bench.read_ahead import ReadAhead
from flows.bench.reading import ReadingBench, ReadingCase
from flows.bench.results import Case, Measurement, OcclusionBench
from flows.bench.spender import SpenderBench
from flows.bench.start_up import StartUp
from flows.console import count, duration, facts

_MIB, _MEGABYTE = 2**20, 1e6


def show_occlusion(console: Console, bench: OcclusionBench) -> None:
    """Print the machine, a table per case, rounding, curves and what was skipped."""
    machine, rates = bench.machine, bench.rates
    device = "" if machine.device_name == machine.processor else f" ({machine.device_name})"
    console.print(
        facts(
            f"{bench.model}: {bench.pixels:,} pixels, {bench.masked_pixels:,} masked",
            [
                ("machine", _machine(bench.machine)),
                (
                    "run on",
                    f"{machine.device}{device}, {machine.threads} threads, torch {machine.torch_version}",
                ),
                ("product", f"{rates.multiply_adds_per_second / 1e9:.0f} G multiply-adds/s, float32"),
                ("copy", f"{rates.bytes_per_second / 1e9:.1f} GB/s, read and written"),
                ("seconds", f"per spectrum, of the quickest of {bench.repeats} runs"),
                ("per core-s", "pasted spectra evaluated in a second of one core"),
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
        _show_skipped(console, skipped)
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
    for name in ("seconds", "× seams", "core-min", "per core-s", "peak MiB", "plan MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    ours = case.measurements[-1].seconds
    for one in case.measurements:
        table.add_row(
            one.approach,
            ("≈ " if one.extrapolated else "") + _seconds(one.seconds),
            _ratio(one.seconds / ours),
            _seconds(one.core_minutes),
            _seconds(one.pasted_per_core_second),
            _mebibytes(one.peak_bytes),
            _mebibytes(one.budget_bytes),
        )
    limit = case.limit
    bound = "arithmetic" if limit.arithmetic_seconds >= limit.traffic_seconds else "traffic"
    name = f"limit, {bound}"
    table.add_row(name, _seconds(limit.seconds), _ratio(limit.seconds / ours), "", "", "", "", style="dim")
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


def _machine(machine: Machine) -> str:
    load = machine.load_before, machine.load_after
    shown = "" if None in load else f", load {load[0]:.1f} to {load[1]:.1f}"
    return f"{machine.processor}, {machine.cores} cores{shown}"


def _show_skipped(console: Console, skipped: Skipped) -> None:
    text = f"{skipped.approach}: skipped, {skipped.reason}. {skipped.remedy}"
    console.print(text.rstrip(), markup=False, highlight=False)


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _mebibytes(value: int | None) -> str:
    return "-" if value is None else f"{value / _MIB:,.0f}"


def show_pipeline(console: Console, bench: PipelineBench) -> None:
    """Print what a run took, what its parts take, and what that leaves."""
    run = bench.run
    console.print(
        facts(
            f"Pipeline: {run.spectra:,} spectra ({bench.distinct:,} distinct) in {run.files:,} files",
            [
                ("machine", _machine(bench.machine)),
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
                ("start", _started(bench.start_up)),
            ],
        )
    )
    console.print()
    console.print(_parts_table(bench))
    console.print()
    console.print(_runs_table(bench))


def _started(start: StartUp) -> str:
    return (
        f"first block after {start.serial:.1f} s (serial), {start.ray:.1f} s (Ray); "
        f"nothing to do: {start.nothing:.1f} s"
    )


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


def show_plan_bench(console: Console, bench: PlanBench) -> None:
    """Print a line per case."""
    console.print(
        facts(
            f"Plan: {bench.files:,} files, {bench.spectra:,} spectra, "
            f"{bench.score_blocks + bench.attribution_blocks:,} blocks",
            [
                ("machine", _machine(bench.machine)),
                ("saved plans", f"{bench.ledger_bytes / _MIB:.1f} MiB"),
                ("seconds", f"of the quickest of {bench.repeats} runs"),
            ],
        )
    )
    console.print()
    table = Table(box=None, pad_edge=False)
    for name in ("release", "seconds", "files/s", "peak MiB", "ledger reads", "files"):
        table.add_column(name, justify="left" if name in ("release", "files") else "right")
    for case in bench.cases:
        states = ", ".join(f"{number:,} {state.replace('-', ' ')}" for state, number in case.counts.items())
        table.add_row(*_plan_row(case, f"{bench.files / case.seconds:,.0f}"), states)
    for command in bench.commands:
        table.add_row(*_plan_row(command, ""), "")
    console.print(table)


def _plan_row(measured: TimedCommand, rate: str) -> tuple[str, ...]:
    peak = _mebibytes(measured.peak_bytes)
    reads = f"{measured.ledger_reads:,} of {measured.ledger_objects:,}"
    return measured.name, f"{measured.seconds:.2f}", rate, peak, reads


def show_query(console: Console, bench: QueryBench) -> None:
    """Print a line per question."""
    command = f"{bench.cold_seconds:.2f} s, CPU {bench.cold_cpu_seconds:.2f} s"
    rate = bench.rows / bench.build_cpu_seconds
    console.print(
        facts(
            f"Query: {bench.rows:,} rows, {bench.outliers:,} outliers, {bench.bytes / _MEGABYTE:,.0f} MB in "
            f"{count(bench.parts, 'part')}",
            [
                ("machine", _machine(bench.machine)),
                ("made", f"in {bench.build_cpu_seconds:,.0f} CPU seconds, {rate:,.0f} rows per CPU second"),
                ("a command", f"that asks for one TARGETID: {command}"),
                ("seconds", f"of the quickest of {bench.repeats} answers; cpu: of all threads"),
            ],
        )
    )
    console.print()
    table = Table(box=None, pad_edge=False)
    for name in ("question", "found", "seconds", "cpu", "DuckDB", "cpu", "peak MiB"):
        table.add_column(name, justify="left" if name == "question" else "right")
    for each in bench.questions:
        seconds = (each.seconds, each.cpu_seconds, each.duckdb_seconds, each.duckdb_cpu_seconds)
        numbers = (f"{value:.3f}" for value in seconds)
        table.add_row(each.name, f"{each.found:,}", *numbers, _mebibytes(each.peak_bytes))
    console.print(table)


def show_match_bench(console: Console, bench: MatchBench) -> None:
    """Print a line per way to match, and one of astropy's search alone."""
    title = f"Match: {bench.rows:,} spectra, {bench.objects:,} objects, within {bench.radius:g} arcsec"
    measured = f"of the quickest of {bench.repeats}; cpu: of all threads"
    console.print(facts(title, [("machine", _machine(bench.machine)), ("seconds", measured)]))
    console.print()
    table = Table(box=None, pad_edge=False)
    for name in ("match", "matched", "seconds", "cpu", "peak MiB"):
        table.add_column(name, justify="left" if name == "match" else "right")
    for each in bench.matches:
        numbers = (f"{each.matched:,}", f"{each.seconds:.2f}", f"{each.cpu_seconds:.2f}")
        table.add_row(each.name, *numbers, _mebibytes(each.peak_bytes))
    theirs = (
        f"{bench.astropy_matched:,}",
        f"{bench.astropy_seconds:.2f}",
        f"{bench.astropy_cpu_seconds:.2f}",
    )
    table.add_row("astropy, search alone", *theirs, "")
    console.print(table)


def show_reading(console: Console, bench: ReadingBench) -> None:
    """Print the machine, and a table per file with what each approach does."""
    console.print(
        facts(
            "Reading: from a file in memory to arrays, on one core",
            [
                ("machine", _machine(bench.machine)),
                ("µs", f"per spectrum, of the quickest and the median of {bench.repeats} runs"),
                ("MB read", "by system calls; what a memory map brings in is not counted"),
            ],
        )
    )
    for case in bench.cases:
        console.print()
        console.print(_reading_table(case))
        for one in case.measurements:
            console.print(f"[dim]{one.approach}: {one.what}[/dim]")
        for skipped in case.skipped:
            _show_skipped(console, skipped)


def _reading_table(case: ReadingCase) -> Table:
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


def show_spender(console: Console, bench: SpenderBench) -> None:
    """Print what was measured."""
    console.print(
        facts(
            f"spender {bench.spender}: one window at a time, and whyspec's passes",
            [
                ("windows", f"{bench.windows}, quickest of {bench.repeats} runs, {bench.threads} threads"),
                ("spender", f"{1e3 * bench.spender_seconds:.2f} ms a pass"),
                ("whyspec", f"{1e3 * bench.whyspec_seconds:.2f} ms a pass, {bench.ratio:.2f} times quicker"),
                *(
                    (preset, f"≈ {duration(seconds)} a spectrum with 8 baselines")
                    for preset, seconds in bench.explanation_seconds.items()
                ),
                ("differ by", f"{bench.largest_difference:.1e} of the effects' standard deviation"),
            ],
        )
    )


def show_lime(console: Console, bench: LimeBench) -> None:
    """Print what was measured."""
    rows = [
        ("explained", f"{bench.score}, {bench.pixels:,} pixels, {bench.segments} segments"),
        ("samples", f"{bench.samples:,}, quickest of {bench.repeats} runs, {bench.machine.threads} threads"),
        *((name, f"{seconds:.2f} s of the processor") for name, seconds in bench.seconds.items()),
        ("published", f"{bench.published_seconds:.2f} s for 5,000 samples, on another machine"),
        ("quicker", f"{bench.published_over_whyspec:.1f} times than published"),
    ]
    if bench.captum_over_whyspec is not None and bench.correlation is not None:
        rows.append(("", f"{bench.captum_over_whyspec:.1f} times than captum {bench.captum}"))
        rows.append(("weights", f"correlate {bench.correlation:.4f} with captum's"))
    console.print(facts("LIME of one spectrum", rows))
