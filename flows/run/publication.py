"""The publication of a run on the user's Prefect server: its summary, as artifacts of its flow run."""

from __future__ import annotations

from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.console import count, duration
from flows.run.request import RunSummary
from models.plain_text import markdown_text
from models.row_status import RowStatus
from models.secrets import redacted
from tasks.artifacts import offered

_LONGEST_LIST = 50


def publish(run: str, summary: RunSummary) -> None:
    """Show the summary of the run of that name; used within its flow run."""
    title = f"Run {run} into {redacted(summary.store)}"

    def both() -> None:
        create_markdown_artifact(summary_markdown(summary), "whyspec-summary", title)
        create_table_artifact(summary_table(summary), "whyspec-counts", title)

    offered(both)


def summary_table(summary: RunSummary) -> list[dict[str, Any]]:
    """Counts of a run, one row each: what, value."""
    rate = summary.spectra / summary.seconds if summary.seconds > 0 else 0.0
    return [
        {"what": "files new", "value": summary.files_new},
        {"what": "files changed", "value": summary.files_changed},
        {"what": "files unchanged", "value": summary.files_unchanged},
        {"what": "files unfinished", "value": summary.files_unfinished},
        {"what": "files gone", "value": summary.files_gone},
        {"what": "files quarantined", "value": len(summary.quarantined)},
        *({"what": f"spectra {label}", "value": number} for label, number in summary.status_counts),
        {"what": "outliers", "value": summary.outliers},
        {"what": "outliers explained", "value": summary.explained},
        *({"what": f"caution {label}", "value": number} for label, number in summary.caution_counts),
        *({"what": label.replace("_", " "), "value": number} for label, number in summary.remark_counts),
        {"what": "seconds", "value": round(summary.seconds, 1)},
        {"what": "spectra per second", "value": round(rate, 1)},
        {"what": "spectra in the store", "value": summary.store_spectra},
        {"what": "outliers in the store", "value": summary.store_outliers},
        {"what": "outliers that wait for an explanation", "value": summary.store_waiting},
    ]


def summary_markdown(summary: RunSummary) -> str:
    """The summary of a run for people."""
    rate = summary.spectra / summary.seconds if summary.seconds > 0 else 0.0
    done = (
        f"**{count(summary.spectra, 'spectrum')}**, **{count(summary.outliers, 'outlier')}** "
        f"({summary.explained:,} explained) in {duration(summary.seconds)}: {rate:,.1f} spectra/s"
    )
    store = (
        f"Store {_cell(summary.store)}: {summary.store_spectra:,} spectra, "
        f"{summary.store_outliers:,} outliers."
    )
    files = (
        f"Files: {summary.files_new:,} new, {summary.files_changed:,} changed, "
        f"{summary.files_unfinished:,} unfinished, {summary.files_unchanged:,} unchanged, "
        f"{summary.files_gone:,} gone, {len(summary.quarantined):,} quarantined."
    )
    lines = [
        done,
        "",
        store,
        "",
        "| status | spectra | meaning |",
        "|---|---:|---|",
    ]
    counts = dict(summary.status_counts)
    lines += [
        f"| {status.label} | {counts[status.label]:,} | {status.meaning} |"
        for status in RowStatus
        if counts.get(status.label)
    ]
    lines += ["", *class_lines(summary), files]
    if summary.quarantined:
        lines += ["", "| quarantined | reason |", "|---|---|"]
        for file in summary.quarantined[:_LONGEST_LIST]:
            lines.append(f"| {_cell(file.url)} | {file.kind}: {_cell(file.reason.splitlines()[0])} |")
        if len(summary.quarantined) > _LONGEST_LIST:
            lines.append(f"| ... and {len(summary.quarantined) - _LONGEST_LIST:,} more | |")
    return "\n".join(lines) + "\n"


def class_lines(summary: RunSummary) -> list[str]:
    """Spectra by class, and the warnings about them."""
    lines = []
    for each in summary.classes:
        numbers = (each.spectra, each.scored, each.redshift_outside, each.snr_outside)
        cells = [_cell(each.spectype or "none"), _cell(each.model or "none"), *(f"{n:,}" for n in numbers)]
        lines.append(f"| {' | '.join(cells)} |")
    if lines:
        heading = "| class | model | spectra | scored | redshift outside | S/N outside |"
        lines = [heading, "|---|---|---:|---:|---:|---:|", *lines, ""]
    for warning in summary.warnings:
        text = _cell(warning.text)
        lines += [f"**{text}**" if warning.severe else text, ""]
    return lines


def _cell(text: str) -> str:
    return markdown_text(redacted(text))
