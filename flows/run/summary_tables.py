"""The summary of a run in the terminal: what was scored, what was not and why, what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from engine.attribution.cautions import Caution
from engine.spectra.exposure_remarks import ExposureRemark
from engine.spectra.source_file import RefusedFile
from flows.console import count, duration, facts
from flows.run.class_summary import RunWarning
from flows.run.request import RunSummary
from models.row_status import RowStatus

_LONGEST_LIST = 10


def show_summary(console: Console, summary: RunSummary) -> None:
    """Print the summary of a run."""
    if not summary.did_something:
        console.print(
            f"Nothing to do: {count(summary.files_unchanged, 'file')} unchanged, "
            f"{count(summary.store_spectra, 'spectrum')} and {count(summary.store_outliers, 'outlier')} "
            f"in {summary.store}.",
            style="bold",
        )
    else:
        console.print(_work(summary))
        if summary.spectra:
            statuses = dict(summary.status_counts)
            console.print(_counted("Spectra of this run", ("status", "spectra"), statuses, RowStatus))
            console.print(class_table(summary))
        if summary.remark_counts:
            title, carried = "Exposures of this run's spectra", dict(summary.remark_counts)
            console.print(_counted(title, ("remark", "spectra"), carried, ExposureRemark))
        if summary.caution_counts:
            title = "Cautions of this run's explanations"
            carried = dict(summary.caution_counts)
            console.print(_counted(title, ("caution", "explanations"), carried, Caution))
    show_warnings(console, summary.warnings)
    if summary.files_gone:
        console.print(
            f"{count(summary.files_gone, 'file')} of the store gone from the release; the rows stay.",
            style="yellow",
        )
    show_quarantined(console, summary.quarantined)
    show_skipped(console, summary.skipped)


def _work(summary: RunSummary) -> Table:
    states = (
        ("new", summary.files_new),
        ("changed", summary.files_changed),
        ("unfinished", summary.files_unfinished),
        ("unchanged", summary.files_unchanged),
        ("refused", summary.files_refused),
        ("skipped", len(summary.skipped)),
    )
    return facts(
        "This run",
        [
            ("files", ", ".join(f"{number:,} {state}" for state, number in states if number) or "none"),
            ("spectra", f"{summary.spectra:,}"),
            ("outliers", _outliers(summary)),
            ("time", duration(summary.seconds)),
            (
                "store",
                (
                    f"{summary.store}: {count(summary.store_spectra, 'spectrum')}, "
                    f"{count(summary.store_outliers, 'outlier')}"
                ),
            ),
        ],
    )


def _outliers(summary: RunSummary) -> str:
    found = f"{summary.outliers:,}, explained {summary.explained:,}"
    rate = summary.false_discovery_rate
    found = found if rate is None else f"{found}; up to {rate:.0%} of them by chance"
    waiting = summary.store_waiting
    return f"{found}; {waiting:,} of the store wait for an explanation" if waiting else found


def class_table(summary: RunSummary) -> Table:
    """How the spectra of each class fared with its model."""
    table = _titled("By class")
    table.add_column("class", no_wrap=True)
    for name in ("spectra", "scored", "z outside", "S/N outside"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("model", style="dim", overflow="fold")
    for each in summary.classes:
        table.add_row(
            each.spectype or "none",
            f"{each.spectra:,}",
            f"{each.scored:,}",
            f"{each.redshift_outside:,}",
            f"{each.snr_outside:,}",
            each.model or "none",
        )
    return table


def _counted(
    title: str,
    columns: tuple[str, str],
    counts: Mapping[str, int],
    labels: Iterable[RowStatus | Caution | ExposureRemark],
) -> Table:
    """How often each label that occurs does, and what it means."""
    table = _titled(title)
    table.add_column(columns[0], no_wrap=True)
    table.add_column(columns[1], justify="right")
    table.add_column("meaning", style="dim")
    for each in labels:
        number = counts.get(each.label, 0)
        if number:
            table.add_row(each.label, f"{number:,}", each.meaning)
    return table


def _titled(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))


def show_warnings(console: Console, warnings: tuple[RunWarning, ...]) -> None:
    """Print warnings, severe ones in red."""
    for warning in warnings:
        console.print(warning.text, style="bold red" if warning.severe else "yellow")


def show_quarantined(console: Console, files: tuple[RefusedFile, ...]) -> None:
    """Print the files that could not be used, with the reason of each."""
    if not files:
        return
    console.print(
        f"\n{count(len(files), 'file')} quarantined; the next run tries again:", style="bold yellow"
    )
    for file in files[:_LONGEST_LIST]:
        what, *details = file.explained
        lines = [f"  {file.url}", f"    {file.kind}: {what}", *(f"      {detail}" for detail in details)]
        console.print("\n".join(lines), soft_wrap=True)
    if len(files) > _LONGEST_LIST:
        console.print(f"  ... and {len(files) - _LONGEST_LIST} more: use --json for all of them.")


def show_skipped(console: Console, files: tuple[RefusedFile, ...]) -> None:
    """Print how many files were skipped, by reason, with an example of each."""
    kinds: dict[str, list[RefusedFile]] = {}
    for file in files:
        kinds.setdefault(file.kind, []).append(file)
    for kind, each in kinds.items():
        what, *details = each[0].explained
        lines = [f"\n{count(len(each), 'file')} skipped, {kind}: {what}", f"  {each[0].url}"]
        console.print("\n".join([*lines, *(f"    {detail}" for detail in details)]), soft_wrap=True)
        if len(each) > 1:
            console.print(f"  ... and {len(each) - 1:,} more: use --json for all of them.")
