"""Report of a plan: what a run would do, in the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console

from flows.console import count, facts
from flows.run.preparation import PreparedRun
from flows.run.summary_tables import show_quarantined, show_skipped, show_warnings


def plan_to_dict(prepared: PreparedRun) -> dict[str, Any]:
    """A JSON-ready summary of a prepared run."""
    return {
        **prepared.plan.to_dict(),
        "store": prepared.request.store,
        "store_exists": prepared.store is not None,
        "release": prepared.listing.root,
        "layout": prepared.listing.layout,
        "waiting_outliers": prepared.waiting_outliers,
        "warnings": [asdict(warning) for warning in prepared.warnings],
        "configuration": prepared.configuration.to_dict(),
    }


def show_plan(console: Console, prepared: PreparedRun) -> None:
    """Print what a run would do."""
    plan, listing, configuration = prepared.plan, prepared.listing, prepared.configuration
    states = ", ".join(
        f"{number:,} {state.replace('-', ' ')}" for state, number in plan.counts.items() if number
    )
    new = "" if prepared.store is not None else " (to be made)"
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
                ("threshold", f"tail probability {configuration.threshold:g}"),
            ],
        )
    )
    show_warnings(console, prepared.warnings)
    show_quarantined(console, listing.refused)
    show_skipped(console, listing.skipped)
    if not prepared.has_work:
        console.print("Nothing to do.", style="bold")
