"""Table of what an attribution did."""

from __future__ import annotations

from rich.console import Console

from engine.attribution.cautions import Caution
from flows.console import count, duration, facts
from flows.store.attribution_summary import AttributionSummary


def show_attribution(console: Console, summary: AttributionSummary) -> None:
    """Print what was explained, and what was not and why."""
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in summary.settings.items())
    rows = [
        ("explanations", f"{summary.name}, by {summary.method}"),
        ("settings", settings or "none"),
        ("explained now", f"{summary.explained:,}"),
        ("in the set", f"{summary.in_set:,}; {count(summary.waiting, 'other outlier')} of the store without"),
        ("time", duration(summary.seconds)),
        ("store", summary.store),
    ]
    console.print(facts("Attribution", rows))
    for label, number in summary.caution_counts:
        meaning = next(each.meaning for each in Caution if each.label == label)
        console.print(f"{count(number, 'explanation')} {label}: {meaning}.", style="yellow")
    if summary.not_outliers:
        console.print(
            f"{count(summary.not_outliers, 'spectrum')} of the selection not explained: no outliers, and the "
            "store holds the pixels of outliers alone. 'whyspec explain' explains any from its file.",
            style="yellow",
        )
    if summary.absent:
        console.print(f"{count(summary.absent, 'name')} not in the store.", style="yellow")
