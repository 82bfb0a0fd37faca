"""The demonstration: simulate, run, cluster, report, and compare with what was injected."""

from __future__ import annotations

import math
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.clustering.pipeline import ClusteringSummary
from engine.clustering.settings import ClusteringSettings
from engine.query.query import QuerySettings, query
from engine.query.text_table import text_table
from engine.report.page import write_report
from engine.simulation.release import SimulationSettings, read_truth, simulate_release
from engine.simulation.truth import TRUTH_NAME
from flows.cluster import cluster
from flows.console import count, counting, duration
from flows.evaluation.recovery import Recovery, recovery
from flows.run.progress import RunProgress
from flows.run.request import RunRequest, RunSummary
from flows.run.summary_tables import show_summary
from flows.run_release import run_release
from flows.store.cluster_table import show_clusters
from infra.settings import load_settings

THRESHOLD = 0.01
WINDOWS = (4, 16, 64, 256)
BASELINES = 8
_TOP = 12


def run_demo(
    directory: Path, spectra: int, outliers: float, seed: int, model: str | None, console: Console
) -> RunSummary:
    """Everything on a small simulated DESI release; continues where it was stopped.

    Raises
    ------
    WhyspecError : as the single commands do.
    """
    begun = time.monotonic()
    release, store, page = directory / "release", directory / "odd.zarr", directory / "report.html"
    _simulate(SimulationSettings("desi", spectra, outliers, seed, resolution=False), release, console)
    _heading(console, "score and explain")
    widths = f"{', '.join(map(str, WINDOWS[:-1]))} and {WINDOWS[-1]}"
    console.print(
        f"Pieces of {widths} pixels of every odd spectrum are pasted into {BASELINES} usual ones like it."
    )
    request = RunRequest(
        release=(str(release),),
        store=str(store),
        models=(model,) if model else None,
        threshold=THRESHOLD,
        windows=WINDOWS,
        baselines=BASELINES,
    )
    with RunProgress(console) as progress:
        summary = run_release(request, load_settings(), [progress])
    show_summary(console, summary)
    _heading(console, "cluster")
    show_clusters(console, _cluster(store, console))
    _heading(console, "report")
    with console.status("draw the report"):
        write_report(str(store), page)
    highest = query(str(store), QuerySettings(top=_TOP))
    console.print(text_table(highest, console.width if console.is_terminal else None), soft_wrap=True)
    console.print(_recovery_table(recovery(str(store), release / TRUTH_NAME)))
    console.print(
        "Weaker anomalies are found less often (docs/numbers.md). Fewer clean spectra pass the threshold\n"
        "than it allows, as they are cleaner than those of the calibration."
    )
    console.print(
        f"\nStore:  {store}\nReport: {page}\nTruth:  {release / TRUTH_NAME}\n"
        f"Done in {duration(time.monotonic() - begun)}.",
        soft_wrap=True,
    )
    return summary


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{text}", style="bold green")


def _simulate(settings: SimulationSettings, release: Path, console: Console) -> None:
    _heading(console, "simulate")
    truth = release / TRUTH_NAME
    # The truth is written last: where it is, the release is complete.
    if truth.is_file() and len(read_truth(truth)) == settings.spectra:
        console.print(f"{release} is there already.")
        return
    with counting(console, "simulate spectra") as progress:
        made = simulate_release(settings, release, progress)
    console.print(
        f"{count(made.spectra, 'spectrum')} in {count(made.files, 'file')}, "
        f"{count(made.outliers, 'injected anomaly')}."
    )


def _cluster(store: Path, console: Console) -> ClusteringSummary:
    with RunProgress(console) as progress:
        return cluster(str(store), ClusteringSettings(), [progress])


def _recovery_table(kinds: tuple[Recovery, ...]) -> Table:
    table = Table(
        title="Injected anomalies: found as outliers, located by the first place",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for name in ("kind", "median sigma", "injected", "scored", "found", "located", "by chance"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    injected = [kind for kind in kinds if kind.kind]
    for kind in injected:
        table.add_row(*_cells(kind.kind.replace("_", " "), kind))
    table.add_section()
    total = Recovery(
        "",
        sum(kind.injected for kind in injected),
        sum(kind.scored for kind in injected),
        sum(kind.found for kind in injected),
        sum(kind.located for kind in injected),
        sum(kind.chance for kind in injected),
        math.nan,
    )
    table.add_row(*_cells("all injected", total), style="bold")
    for kind in kinds:
        if not kind.kind:
            table.add_row(
                "nothing injected",
                "",
                f"{kind.injected:,}",
                f"{kind.scored:,}",
                f"{kind.found:,}",
                "",
                "",
                style="dim",
            )
    return table


def _cells(name: str, kind: Recovery) -> tuple[str, ...]:
    return (
        name,
        f"{kind.strength:.0f}" if math.isfinite(kind.strength) else "",
        f"{kind.injected:,}",
        f"{kind.scored:,}",
        f"{kind.found:,}",
        f"{kind.located:,}",
        f"{kind.chance:.1f}",
    )
