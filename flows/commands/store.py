"""Commands on stores: cluster, catalogue, verify, status, report, query."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

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
    show_next(console, *found, ("report", store, *chosen, "-o", report_name(store)))
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
    target_id: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (),
    key: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (),
    top: int | None = None,
    z: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    cluster: int | None = None,
    clustering: str = "default",
    near: Annotated[tuple[str, str, str] | None, Parameter(allow_leading_hyphen=True, negative=())] = None,
    moc: str | None = None,
    targets: Path | None = None,
    targets_column: str | None = None,
    status: str | None = None,
    class_: Annotated[tuple[str, ...], Parameter(name="--class", consume_multiple=True, negative=())] = (),
    snr: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    zwarn: int | None = None,
    fiber: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = (),
    superseded: Annotated[bool, Parameter(negative=())] = False,
    place: str | None = None,
    observed: str | None = None,
    line: str | None = None,
    cause: str | None = None,
    instrument: str | None = None,
    caution: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (),
    without_caution: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (),
    explanation: str = "default",
    order: str | None = None,
    columns: str | None = None,
    count: Annotated[bool, Parameter(negative=())] = False,
    format: Literal[  # noqa: A002 - the option's name
        "table", "csv", "json", "parquet", "fits", "votable", "ecsv"
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
    target_id
        TARGETIDs (SDSS: SPECOBJIDs). Spectra that are not outliers are found too.
    key
        Spectrum keys, as the table shows them.
    top
        Largest number of spectra.
    z
        Redshifts from:to, e.g. 0.1:0.3, 0.1: or :0.3.
    cluster
        Cluster number.
    clustering
        Name of the clustering that --cluster refers to. Default: that of the set of explanations.
    near
        Right ascension, declination and radius: 150.1 2.2 5arcsec, or 10:00:24 +02:12:00 0.1deg.
    moc
        Region of the sky: file of a MOC (FITS, ASCII, JSON), or the MOC itself: "5/1-3 7".
    targets
        Table of TARGETIDs, SPECOBJIDs, keys or plate, mjd, fiber: FITS, Parquet, VOTable, ECSV, CSV.
        Spectra that are not outliers are found too.
    targets_column
        Column of that table which names spectra.
    status
        Spectra of that status instead of outliers: scored, sky_fibre, no_redshift, ...; any for all.
    class_
        Spectral classes: GALAXY, QSO, STAR.
    snr
        S/N from:to, e.g. 2:10, 2: or :10.
    zwarn
        Redshift warning bits, exactly these: 0 is good.
    fiber
        Numbers of fibres.
    superseded
        Also rows that newer rows of the same spectrum replace.
    place
        Where one of the places is: a line (Halpha, OIII, "[O III] 5008") or a rest wavelength in
        Angstrom; +-15 Angstrom unless written 5008+-5; obs:5579 for an observed wavelength.
    observed
        Observed wavelength of one of the places in Angstrom: 5579, or 5579+-5; else +-15 Angstrom.
    line
        The line that one of the places is of, whatever its width: Halpha, OIII, "[O III] 5008".
    cause
        What most likely made the spectrum odd: second_redshift, broad_lines, sky_residuals, unknown, ...
    instrument
        Range of the probability that instrument, sky or reduction did it, LOW:HIGH such as 0:0.2.
    caution
        Cautions that the explanation carries, e.g. edge sky_lines; any for at least one.
    without_caution
        Cautions that the explanation does not carry; any for explanations without cautions.
    explanation
        Name of the set of explanations that is asked for places, cause and cautions, see whyspec attribute
        --help.
    order
        Columns to order by, with a comma between; snr:desc for the largest first. Default: oddest first.
    columns
        Columns of the answer, with a comma between, among all that the store has; see docs/query.md.
    count
        Say how many spectra there are, and nothing else.
    format
        table for reading; csv, json, parquet, fits, votable, ecsv with every column and digit. Default: by
        the end of the output file's name (.txt is a table, .vot a VOTable), else table.
    output
        File to write to instead of standard output; needed for parquet and fits.
    json
        The same as --format json.
    """
    from engine.catalogue.reading import Catalogue
    from engine.query.chance import chance_note
    from engine.query.conditions.moc import read_moc
    from engine.query.conditions.near import parse_cone
    from engine.query.query import (
        QuerySettings,
        answer,
        parse_probability_range,
        parse_redshift_range,
        parse_snr_range,
    )
    from engine.query.query import count as count_found
    from engine.query.table_formats import chosen_format, write_table
    from engine.query.target_list import read_target_list
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
    settings = QuerySettings(
        target_ids=tuple(map(option_types.identifier, target_id)),
        keys=key,
        targets=read_target_list(targets, targets_column) if targets is not None else None,
        where=where,
        near=parse_cone(*near) if near is not None else None,
        moc=read_moc(moc) if moc is not None else None,
        status=(status or "").replace("-", "_"),
        classes=class_,
        snr=parse_snr_range(snr) if snr is not None else None,
        zwarn=zwarn,
        fibers=fiber,
        superseded=superseded,
        observed="" if observed is None else option_types.not_empty("--observed", observed),
        order=option_types.comma_list(order or ""),
        columns=option_types.comma_list(columns or ""),
        top=top,
        redshift=parse_redshift_range(z) if z is not None else None,
        cluster=cluster,
        clustering=clustering,
        place="" if place is None else option_types.not_empty("--place", place),
        line="" if line is None else option_types.not_empty("--line", line),
        cause="" if cause is None else option_types.not_empty("--cause", cause),
        instrument=parse_probability_range(instrument) if instrument is not None else None,
        cautions=caution,
        without_cautions=without_caution,
        explanation=explanation,
    )
    view = StoreView.open(store)
    if settings.targets is not None:
        notes().print(str(settings.targets), soft_wrap=True)
    if count:
        print(count_found(view, settings))  # noqa: T201 - the answer
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
