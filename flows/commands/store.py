"""Commands on stores: cluster, catalogue, verify, status, report, query."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.commands.selection import ALL_OUTLIERS, Selection

Json = Annotated[bool, Parameter(name="--json", negative=())]


def cluster(
    store: str,
    /,
    *,
    clusters: int | None = None,
    name: str = "",
    explanation: str = "default",
    seed: int = 0,
    json: Json = False,
) -> int:
    """Group the outliers by what makes them odd.

    whyspec cluster odd.zarr

    Clusters the attribution maps in the rest frame. Run it again after new spectra were added.

    Parameters
    ----------
    store
        Path or URL of the store.
    clusters
        Number of clusters; chosen by silhouette if left out.
    name
        Name of the clustering in the store; one of the same name is replaced. Default: that of the set of
        explanations.
    explanation
        Name of the set of explanations, see whyspec attribute --help.
    seed
        Seed of everything random in the clustering.
    json
        Write the clusters as JSON to standard output.
    """
    from engine.clustering.settings import ClusteringSettings
    from flows.cluster import cluster as cluster_store
    from flows.console import messages, notes, report_name, show_next, write_json
    from flows.run.progress import RunProgress
    from flows.store.cluster_table import show_clusters

    settings = ClusteringSettings(name=name or explanation, clusters=clusters, seed=seed)
    with RunProgress(notes()) as progress:
        summary = cluster_store(store, settings, [progress], explanation)
    if json:
        write_json(summary.to_dict())
    console = messages(json)
    show_clusters(console, summary)
    chosen = () if explanation == "default" else ("--explanation", explanation)
    other = () if settings.name == explanation else ("--clustering", settings.name)
    found = (("query", store, "--cluster", 0, *other, *chosen),) if summary.clusters else ()
    show_next(console, *found, ("report", store, *chosen, "-o", report_name(store, explanation)))
    return 0


def catalogue(
    store: str,
    /,
    *,
    anew: Annotated[bool, Parameter(negative=())] = False,
    wait: float = 0.0,
    json: Json = False,
) -> int:
    """Bring the catalogue of a store up to date: the copy that queries read.

    whyspec catalogue odd.zarr

    A run does so at its end. Use it on a store of a run that was stopped, or of an earlier version. What
    is not in the catalogue, queries read from the store's arrays, which takes longer.

    Parameters
    ----------
    store
        Path or URL of the store.
    anew
        Make all of it anew.
    wait
        Seconds to wait for a run on the store to end; inf for as long as it takes.
    json
        Write what was done as JSON to standard output.
    """
    from flows import option_types
    from flows.console import messages, notes, write_json
    from flows.run.progress import RunProgress
    from flows.store.catalogue import update_catalogue_of
    from flows.store.catalogue_table import show_catalogue

    with RunProgress(notes()) as progress:
        done = update_catalogue_of(store, anew=anew, wait=option_types.seconds(wait), observers=[progress])
    if json:
        write_json(done.to_dict())
    show_catalogue(messages(json), store, done)
    return 0


def verify(
    store: str,
    /,
    *,
    repair: Annotated[bool, Parameter(negative=())] = False,
    model: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    workers: int = 0,
    wait: float = 0.0,
    json: Json = False,
) -> int:
    """Read a whole store and compare it with its ledger; nothing is changed unless --repair is given.

    whyspec verify odd.zarr --repair

    The exit status is 65 when something is damaged or missing; with --repair, when something still is.

    Parameters
    ----------
    store
        Path or URL of the store.
    repair
        Compute damaged and missing blocks again from their source files. Restore what follows from the
        ledger. Change nothing else.
    model
        With --repair: names or directories of scoring models that have moved.
    workers
        With --repair: number of processes; 0 for all CPUs or GPUs. A few blocks run in this process.
    wait
        With --repair: seconds to wait for a run on the store to end; inf for as long as it takes.
    json
        Write what was found as JSON to standard output.
    """
    from engine.store.verify import verify as verify_store
    from flows.console import counting, messages, notes, write_json
    from flows.store.verify_table import show_verification
    from models.errors import StoreError

    if repair:
        return _repair(store, model, workers, wait, json)
    with counting(notes(), "read objects") as progress:
        found = verify_store(store, progress)
    if json:
        write_json(found.to_dict())
    show_verification(messages(json), found)
    return 0 if found.ok else StoreError.exit_code


def _repair(store: str, model: tuple[str, ...], workers: int, wait: float, json: bool) -> int:
    from flows import option_types
    from flows.console import messages, notes, write_json
    from flows.run.progress import RunProgress
    from flows.store.repair import repair
    from flows.store.verify_table import show_repair
    from infra.settings import load_settings
    from models.errors import StoreError

    with RunProgress(notes()) as progress:
        done = repair(
            store,
            load_settings(),
            [progress],
            models=option_types.models(model) or (),
            workers=workers,
            wait=option_types.seconds(wait),
        )
    if json:
        write_json(done.to_dict())
    show_repair(messages(json), done)
    return 0 if done.ok else StoreError.exit_code


def status(
    store: str,
    /,
    *,
    watch: Annotated[bool, Parameter(negative=())] = False,
    json: Json = False,
) -> int:
    """Say what a store holds, who works on it and how far the work is.

    whyspec status odd.zarr --watch

    It reads the ledger only. It works during a run, from any machine that reaches the store.

    Parameters
    ----------
    store
        Path or URL of the store.
    watch
        Show it again every few seconds until nobody works on the store.
    json
        Write it as JSON to standard output, once.
    """
    from engine.store.status import status_of
    from flows.console import messages, write_json
    from flows.store.status_table import status_table, watch_status

    found = status_of(store)
    if json:
        write_json(found.to_dict())
    elif watch:
        watch_status(messages(json), store, found)
    else:
        messages(json).print(status_table(found))
    return 0


def report(
    store: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("whyspec.html"),
    top: int = 12,
    explanation: str = "default",
) -> int:
    """Write a report on a store: one HTML file for any browser.

    whyspec report odd.zarr -o odd.html

    Parameters
    ----------
    store
        Path or URL of the store.
    output
        HTML file; replaced if it is there.
    top
        Number of outliers shown with their figure, oddest first.
    explanation
        Name of the set of explanations that is shown, see whyspec attribute --help.
    """
    from engine.report.page import write_report
    from flows.console import notes

    with notes().status("draw the report"):
        write_report(store, output, top, explanation)
    notes().print(f"Report: {output}")
    return 0


def query(
    store: str,
    where: str = "",
    /,
    *,
    selection: Selection = ALL_OUTLIERS,
    count: Annotated[bool, Parameter(negative=())] = False,
    format: Literal[  # noqa: A002 - the option's name
        "table", "csv", "json", "parquet", "fits", "votable", "ecsv", "list"
    ]
    | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Json = False,
) -> int:
    """Find spectra in a store; without conditions all outliers, by rising tail probability.

    whyspec query odd.zarr --top 20 --z 0.1:0.3 --line Halpha

    whyspec query odd.zarr "z between 0.1 and 0.3 and tail < 1e-4 and zwarn = 0"

    whyspec query odd.zarr --target-id 39627835576420141 --format json

    whyspec query odd.zarr --without-caution any

    Parameters
    ----------
    store
        Path or URL of the store.
    where
        Condition in names of columns: comparisons, and, or, not, between, in, is null; see docs/query.md.
    count
        Say how many spectra there are, and nothing else.
    format
        table for reading; csv, json, parquet, fits, votable, ecsv with every column and digit; list for the
        survey's own viewers. Default: by the end of the output file's name (.txt is a table, .vot a VOTable,
        .lst a list), else table.
    output
        File to write to instead of standard output; needed for parquet and fits.
    json
        The same as --format json.
    """
    from engine.catalogue.reading import Catalogue
    from engine.query.chance import chance_note
    from engine.query.query import answer
    from engine.query.query import count as count_found
    from engine.query.table_formats import chosen_format, write_table
    from engine.query.viewer_list import write_viewer_list
    from engine.store.entries import RUN_SET
    from engine.store.reading import StoreView
    from flows import option_types
    from flows.console import count as counted
    from flows.console import notes
    from models.output_files import check_output

    if json:
        option_types.agree("--format", format, "json")
    chosen = chosen_format("json" if json else format, output)
    if output is not None:
        check_output(output)
    settings = selection.settings(where)
    view = StoreView.open(store).with_explanation(settings.explanation or RUN_SET)
    if settings.targets is not None:
        notes().print(str(settings.targets), soft_wrap=True)
    if count:
        print(count_found(view, settings))  # noqa: T201 - the answer
        return 0
    if chosen == "list":
        listed = write_viewer_list(view, settings, output)
        if output is not None:
            notes().print(f"{counted(listed, 'spectrum')}: {output}", soft_wrap=True)
        return 0
    found = answer(view, settings)
    write_table(found, chosen, output)
    if lacking := Catalogue.of(view).lacking_blocks:
        blocks = counted(lacking, "block")
        notes().print(
            f"The catalogue lacks {blocks}, read from the arrays: 'whyspec catalogue {store}' adds them.",
            soft_wrap=True,
        )
    if output is not None:
        notes().print(f"{counted(len(found), 'row')}: {output}", soft_wrap=True)
    if chosen == "table" or output is not None:  # not beside what a program reads from a pipe
        notes().print(chance_note(view, settings, found), soft_wrap=True)
    return 0
