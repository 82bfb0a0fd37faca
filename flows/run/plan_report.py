"""Report of a plan: what a run would do and take, in the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from engine.run.coverage import Coverage
from flows.console import count, data_size, duration, facts, show_next
from flows.run.forecast import Forecast
from flows.run.preparation import PreparedRun, known_to
from flows.run.summary_tables import show_quarantined, show_skipped, show_warnings
from models.interval import Interval

_LONGEST_TABLE = 16
_BASES = {
    "store": "by the share that the store has so far",
    "measured": "by the spectra that were measured",
    "threshold": "as if all spectra were usual; a real release has more",
}


def plan_to_dict(prepared: PreparedRun, forecast: Forecast) -> dict[str, Any]:
    """A JSON-ready summary of a prepared run."""
    names = [model.name for model in prepared.configuration.models]
    return {
        **prepared.plan.to_dict(),
        "store": prepared.request.store,
        "store_exists": prepared.store is not None,
        "release": prepared.listing.root,
        "layout": prepared.listing.layout,
        "waiting_outliers": prepared.waiting_outliers,
        "warnings": [asdict(warning) for warning in prepared.warnings],
        "threshold_factors": dict(zip(names, prepared.threshold_factors, strict=True)),
        "forecast": {
            **asdict(forecast),
            "hours": asdict(forecast.hours),
            "memory_bytes": forecast.memory_bytes,
        },
        "configuration": prepared.configuration.to_dict(),
    }


def show_plan(console: Console, prepared: PreparedRun, forecast: Forecast) -> None:
    """Print what a run would do."""
    plan, listing, configuration = prepared.plan, prepared.listing, prepared.configuration
    states = ", ".join(
        f"{number:,} {state.replace('-', ' ')}" for state, number in plan.counts.items() if number
    )
    new = "" if prepared.store is not None else " (to be made)"
    known = (
        f"{known_to(factor)} ({card.name})"
        for factor, card in zip(prepared.threshold_factors, prepared.cards, strict=True)
    )
    console.print(
        facts(
            "Plan",
            [
                ("release", f"{listing.root} ({listing.layout})"),
                ("store", f"{prepared.request.store}{new}"),
                ("files", states or "none"),
                ("to score", f"{count(plan.spectra, 'spectrum')} in {count(len(plan.blocks), 'block')}"),
                ("to explain", f"{count(prepared.waiting_outliers, 'outlier')} of earlier runs"),
                ("superseded", f"{count(plan.superseded, 'row')} that newer ones replace"),
                *(("model", str(model)) for model in configuration.models),
                (
                    "threshold",
                    f"tail probability {configuration.threshold:g}, known to {'; '.join(known)}",
                ),
            ],
        )
    )
    if prepared.has_work:
        console.print(_forecast_table(forecast))
        if forecast.coverage is not None:
            console.print(_coverage_table(forecast.coverage, forecast.spectra))
    show_warnings(console, prepared.warnings)
    show_quarantined(console, listing.refused)
    show_skipped(console, listing.skipped)
    if not prepared.has_work:
        console.print("Nothing to do.", style="bold")
    if forecast.advice:
        console.print(
            'No model of the run is for the spectra below "none". These commands train models for them, '
            "which a new store takes beside the others with --model:"
        )
        show_next(console, *forecast.advice)


def _forecast_table(forecast: Forecast) -> Table:
    rates, coverage = forecast.rates, forecast.coverage
    of_stages = (
        ("reading", Interval(*3 * (forecast.reading_hours,))),
        ("scoring", forecast.scoring_hours),
        ("explaining", forecast.explaining_hours),
    )
    sample = "nothing that could be looked at"
    if coverage is not None:
        sample = f"{coverage.files:,} of {count(coverage.all_files, 'file')}, {coverage.spectra:,} spectra"
        sample += "" if coverage.whole else "; brackets hold the truth in 95 % of such samples"
    return facts(
        "What it takes",
        [
            ("time", f"{_hours(forecast.hours)} with {count(forecast.workers, 'worker')}"),
            *((f"  {name}", _hours(hours)) for name, hours in of_stages),
            (
                "rates",
                (
                    f"{1e3 * rates.reading:.2g} ms to read, {1e3 * rates.scoring:.2g} ms to score, "
                    f"{rates.explaining:.2g} s to explain, of one core: {rates.note}"
                ),
            ),
            ("scored", f"{_number(forecast.scored)} of {count(forecast.spectra, 'spectrum')}"),
            ("outliers", f"{_number(forecast.outliers)} new ones, {_BASES[forecast.outlier_basis]}"),
            ("reads", data_size(forecast.read_bytes)),
            ("writes", f"about {data_size(forecast.written_bytes.value)}"),
            (
                "memory",
                (
                    f"{data_size(forecast.memory_bytes)} at most: {data_size(forecast.worker_bytes)} "
                    f"a worker, {data_size(forecast.coordinator_bytes)} beside"
                ),
            ),
            ("sample", sample),
        ],
    )


def _coverage_table(coverage: Coverage, spectra: int) -> Table:
    """The largest groups of spectra by class and redshift, and those that no model could score."""
    table = Table(title="By class and redshift", title_justify="left", title_style="bold", box=None)
    table.add_column("class", no_wrap=True)
    table.add_column("redshift", no_wrap=True)
    table.add_column("spectra", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("model", style="dim", overflow="fold")
    largest = sorted(coverage.cells, key=lambda cell: -cell.share.value)[:_LONGEST_TABLE]
    for cell in coverage.cells:
        if cell in largest:
            redshifts = f"{cell.redshift_min:g} to {cell.redshift_max:g}"
            table.add_row(
                cell.spectype or "unclassified", redshifts, *_part(cell.share, spectra), cell.model or "none"
            )
    if left := len(coverage.cells) - len(largest):
        table.add_row(f"{left} smaller", "", "", "", "")
    table.add_row("unusable", "", *_part(coverage.unusable, spectra), "sky, broken fibres, no redshift")
    return table


def _part(share: Interval, spectra: int) -> tuple[str, str]:
    return _number(share.times(spectra)), f"{share.value:.1%}"


def _number(numbers: Interval) -> str:
    middle, low, high = (f"{round(number):,}" for number in (numbers.value, numbers.low, numbers.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def _hours(hours: Interval) -> str:
    middle, low, high = (duration(3600 * number) for number in (hours.value, hours.low, hours.high))
    return middle if low == high else f"{middle} ({low} to {high})"
