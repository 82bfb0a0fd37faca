"""Tables of what an attribution did, and of what one will take."""

from __future__ import annotations

from rich.console import Console

from engine.attribution.cautions import Caution
from engine.attribution.setting_kinds import in_one_line
from flows.console import count, data_size, duration, facts
from flows.run.attribution_forecast import AttributionForecast
from flows.store.attribution_summary import AttributionSummary

_NOTHING = "Nothing to explain: the set has all outliers that are asked for, or there are none."


def show_attribution(console: Console, summary: AttributionSummary) -> None:
    """Print what was explained, and what was not and why."""
    rows = [
        *_how(summary),
        ("explained now", f"{summary.explained:,}"),
        ("in the set", f"{summary.in_set:,}; {count(summary.waiting, 'other outlier')} of the store without"),
        ("time", duration(summary.seconds)),
        ("store", summary.store),
    ]
    console.print(facts("Attribution", rows))
    if not summary.explained:
        console.print(_NOTHING, style="yellow")
    for label, number in summary.caution_counts:
        meaning = next(each.meaning for each in Caution if each.label == label)
        console.print(f"{count(number, 'explanation')} {label}: {meaning}.", style="yellow")
    _show_left_out(console, summary)


def show_attribution_plan(console: Console, forecast: AttributionForecast) -> None:
    """Print what an attribution would do and take."""
    rows = [
        *_how(forecast),
        ("to explain", count(forecast.outliers, "outlier")),
        ("passes", f"{forecast.passes:,} of the model for each"),
        ("time", f"{duration(3600 * forecast.hours)} with {count(forecast.workers, 'worker')}"),
        ("rate", f"{forecast.explaining:.2g} s of one core for each: {forecast.note}"),
        ("writes", f"about {data_size(forecast.written_bytes)}"),
        (
            "memory",
            f"{data_size(forecast.memory_bytes)} at most: {data_size(forecast.worker_bytes)} a worker",
        ),
        ("store", forecast.store),
    ]
    console.print(facts("Plan of an attribution", rows))
    if not forecast.outliers:
        console.print(_NOTHING, style="yellow")
    _show_left_out(console, forecast)


def _how(attribution: AttributionSummary | AttributionForecast) -> list[tuple[str, str]]:
    """The set and how it explains."""
    return [
        ("explanations", f"{attribution.name}, by {attribution.method}"),
        ("settings", in_one_line(attribution.settings) or "none"),
    ]


def _show_left_out(console: Console, attribution: AttributionSummary | AttributionForecast) -> None:
    """Print what was asked for and is not explained, and why."""
    if attribution.not_outliers:
        console.print(
            f"{count(attribution.not_outliers, 'spectrum')} of the selection not explained: no outliers, and "
            "the store holds the pixels of outliers alone. 'whyspec explain' explains any from its file.",
            style="yellow",
        )
    if attribution.absent:
        console.print(f"{count(attribution.absent, 'name')} not in the store.", style="yellow")
