"""Commands on releases: simulate, train, plan, run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from engine.simulation.settings import FormName, ReleaseName, SurveyName
from flows import option_types

if TYPE_CHECKING:
    from flows.run.request import RunRequest

_MODEL = Group("Model and selection", sort_key=1)
_OWN = Group("Targets and redshifts of your own", sort_key=1)
_SET = Group("Training set", sort_key=1)
_METHOD = Group("Method that explains", sort_key=2)
_OCCLUSION = Group("Occlusion", sort_key=3)
_EXPLAIN = Group("How much is explained", sort_key=3)
_SOURCES = Group("What it holds", sort_key=1)
_PLACE = Group("Where and how it runs", sort_key=4)

Release = Annotated[tuple[str, ...], Parameter(negative=())]
Store = Annotated[str, Parameter(name="--store")]
Json = Annotated[bool, Parameter(name="--json", negative=())]


def simulate(
    out: Path,
    /,
    *,
    survey: SurveyName = "desi",
    form: FormName | None = None,
    spectra: int = 2000,
    outliers: float = 0.03,
    seed: int = 0,
    templates: Annotated[Path | None, Parameter(env_var="RR_TEMPLATE_DIR")] = None,
    release: ReleaseName | None = None,
    population: Annotated[Literal["plain", "broad"], Parameter(group=_SOURCES)] = "plain",
    sky: Annotated[Path | None, Parameter(group=_SOURCES)] = None,
    sky_share: Annotated[Literal["training", "proof"], Parameter(group=_SOURCES)] = "training",
    quasars: Annotated[float, Parameter(group=_SOURCES)] = 0.0,
    stars: Annotated[float, Parameter(group=_SOURCES)] = 0.0,
    quasar_redshifts: Annotated[tuple[float, float], Parameter(group=_SOURCES)] = (0.05, 4.0),
    galaxy_redshifts: Annotated[tuple[float, float], Parameter(group=_SOURCES)] = (0.002, 0.65),
) -> int:
    """Write a release of simulated spectra in the survey's native files, with truth.ecsv.

    whyspec simulate release --survey desi --spectra 2000 --outliers 0.03

    Parameters
    ----------
    out
        Directory to write to; must not exist or be empty.
    survey
        Survey whose instrument, noise, masks and file formats are simulated.
    form
        Form of the files: coadd (DESI), spec (SDSS, one spectrum each) or plate (SDSS, one plate each, with
        redshifts in spZbest). Default: the survey's first.
    spectra
        Number of spectra, sky fibres included.
    outliers
        Share of galaxies that carry an injected anomaly, 0 to 1; truth.ecsv says which and where.
    seed
        The same seed gives the same bytes.
    templates
        Directory of redrock templates (rrtemplate-galaxy-*.fits). Default: $RR_TEMPLATE_DIR; without both,
        galaxies are made up.
    release
        Generation of files and spectrograph: dr1 or edr (DESI); legacy, boss or sdssv (SDSS). Default: the
        survey's first.
    population
        plain: clean spectra of galaxies as a survey selects them. broad: wide in signal-to-noise, redshift,
        dust and lines, with the small flaws of real pipelines; train models on it.
    sky
        Directory of real SDSS sky fibres (spec-*.fits). A broad population gets their noise and residuals.
        Without it the sky is modelled.
    sky_share
        Half of the sky fibres, by name: training, or proof (held out).
    quasars
        Share of targets that are quasars, 0 to 1.
    stars
        Share of targets that are stars, 0 to 1.
    quasar_redshifts
        Lowest and highest redshift of a broad population's quasars.
    galaxy_redshifts
        The same of its galaxies. Two thirds are near; those beyond 0.65 are fainter, with stronger lines.
    """
    from engine.simulation.release import simulate_release
    from engine.simulation.settings import SimulationSettings
    from flows.console import count, counting, notes, show_next

    settings = SimulationSettings(
        survey,
        spectra,
        outliers,
        seed,
        release=release,
        form=form,
        templates=templates,
        quasar_fraction=quasars,
        star_fraction=stars,
        population=population,
        sky=sky,
        sky_share=sky_share,
        quasar_redshifts=quasar_redshifts,
        galaxy_redshifts=galaxy_redshifts,
    )
    with counting(notes(), "simulate spectra") as progress:
        made = simulate_release(settings, out, progress)
    notes().print(
        f"{count(made.spectra, 'spectrum')} in {count(made.files, 'file')} below {out}, "
        f"{count(made.outliers, 'injected anomaly')}, listed in {made.truth}.",
        soft_wrap=True,
    )
    show_next(notes(), ("run", out, "--store", f"{out.name}.zarr"))
    return 0


def train(
    release: Release,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    kind: Literal["local", "variational", "variational-published"] = "local",
    population: Literal["galaxy", "quasar", "star", "all"] = "galaxy",
    redshift: Annotated[tuple[float, float] | None, Parameter(group=_SET, negative=())] = None,
    limit: Annotated[int, Parameter(group=_SET)] = 20_000,
    validation: Annotated[float, Parameter(group=_SET)] = 0.05,
    calibration: Annotated[float, Parameter(group=_SET)] = 0.2,
    cache: Annotated[Path | None, Parameter(group=_SET)] = None,
    cache_size: Annotated[str, Parameter(group=_SET)] = "8GB",
    epochs: int = 40,
    name: str = "",
    seed: int = 0,
    layout: str = "",
    threads: int | None = None,
) -> int:
    """Fit a scoring model to a release's spectra.

    whyspec train release -o my-model --population galaxy --epochs 40

    A training that was killed continues after the last complete epoch.

    Parameters
    ----------
    release
        One directory, or files of spectra; paths or URLs.
    output
        Directory for the model: model.safetensors, card.json, training.json and training.png. Training
        rewrites the last two as it goes.
    kind
        Kind of model. local: an autoencoder and the density of its latents, cheap to explain. variational: a
        perceptron in the rest frame, scored by its reconstruction. variational-published: the same with the
        losses and the score of Ortiz Manrique & Boquien (2025).
    population
        Spectra to train on: galaxy, quasar and star by the survey's class, or all.
    redshift
        Lowest and highest redshift, e.g. 0 0.6. Default: from the spectra.
    limit
        Largest number of spectra; a hash of their objects chooses them.
    validation
        Share of the objects for validation, 0 to 1. Training stops when their loss no longer falls.
    calibration
        Share of the objects for calibration, 0 to 1. Scores are compared with theirs. No object is in two
        parts of the split.
    cache
        Directory for the prepared spectra. Another training on the same spectra uses it again. Default: below
        the model's directory, removed at the end.
    cache_size
        Largest size of the prepared spectra, e.g. 500MB or 8GB. Training uses fewer spectra if they do not
        fit.
    epochs
        Largest number of passes over the spectra. Training stops earlier when the validation loss no longer
        falls.
    name
        Name of the model; that of its directory if left out.
    seed
        Seed of everything random in training. The split does not depend on it.
    layout
        Name of the release's layout; recognised if left out.
    threads
        Torch threads; 0 or left out for one per CPU.
    """
    from engine.training.request import TrainingRequest
    from flows.console import notes, show_next
    from flows.train import train as train_on_release
    from flows.training.progress import TrainingBars, show_card
    from infra.settings import load_settings, own_threads

    option_types.at_least("--limit", limit, 1)
    option_types.at_least("--epochs", epochs, 1)
    option_types.shares(validation=validation, calibration=calibration)
    request = TrainingRequest(
        release=tuple(release),
        directory=str(output),
        name=name or output.resolve().name,
        layout=layout,
        kind=kind,
        population=population,
        redshift=redshift,
        limit=limit,
        validation=validation,
        calibration=calibration,
        cache=str(cache) if cache else "",
        cache_bytes=option_types.number_of_bytes("--cache-size", cache_size),
        epochs=epochs,
        seed=seed,
        threads=own_threads(load_settings(**option_types.given(threads=threads))),
    )
    with TrainingBars(notes()) as bars:
        card = train_on_release(request, [bars])
    show_card(notes(), card, output)
    show_next(notes(), ("run", "RELEASE", "--store", "odd.zarr", "--model", output))
    return 0


def plan(
    release: Release,
    /,
    *,
    store: Store,
    layout: Annotated[str, Parameter(group=_PLACE)] = "",
    model: Annotated[tuple[str, ...], Parameter(group=_MODEL, negative=())] = (),
    threshold: Annotated[float | None, Parameter(group=_MODEL)] = None,
    classes: Annotated[str | None, Parameter(group=_MODEL)] = None,
    targets: Annotated[Path | None, Parameter(group=_OWN)] = None,
    redshifts: Annotated[Path | None, Parameter(group=_OWN)] = None,
    class_of: Annotated[str | None, Parameter(group=_OWN)] = None,
    method: Annotated[str | None, Parameter(group=_METHOD)] = None,
    setting: Annotated[tuple[str, ...], Parameter(group=_METHOD, negative=())] = (),
    workers: Annotated[int, Parameter(group=_PLACE)] = 0,
    rates: Annotated[str | None, Parameter(group=_PLACE)] = None,
    measure: Annotated[bool, Parameter(negative="", group=_PLACE)] = False,
    check_data: Annotated[bool, Parameter(negative="", group=_PLACE)] = False,
    json: Json = False,
) -> int:
    """Say what a run would do and take: files by state, hours, bytes, memory, and what no model carries.

    whyspec plan release --store odd.zarr --workers 64

    It writes nothing. It runs no model but with --measure.

    Parameters
    ----------
    release
        One directory, or files of spectra; paths or URLs.
    store
        Path or URL of the store; it need not exist.
    layout
        Name of the release's layout; recognised if left out.
    model
        Names or directories of the scoring models, see whyspec run --help.
    threshold
        Tail probability at or below which a spectrum is an outlier.
    classes
        Spectral classes to score, e.g. GALAXY,QSO; all for every class.
    targets
        Table that names the only spectra to read, by TARGETID (SPECOBJID), key, or plate, MJD and fiber:
        FITS, Parquet, VOTable, ECSV, CSV, or a text with one in each line. Give it again with the same store.
    redshifts
        Table of redshifts by such names, columns z and, where it has one, class. They go before those of the
        survey's pipeline. Give it again with the same store.
    class_of
        Class that all spectra are taken for, e.g. QSO; a class in --redshifts goes before it. Default: that
        of the survey's pipeline.
    method
        Name of the method of attribution, see whyspec run --help.
    setting
        A setting of the method, NAME=VALUE; repeat --setting for more.
    workers
        Number of processes that the hours are for, here or on a cluster. Default: as whyspec run has here.
    rates
        Seconds of one core, e.g. scoring=0.025,explaining=6.5 (also reading), or a file: what plan --measure
        --json wrote where the run will be. Default: those of another machine, as the plan says.
    measure
        Take the rates of this machine, on spectra of the release; takes some seconds, and needs the model.
    check_data
        Compare new files with their published SHA-256 and the DATASUMs in their headers. This
        reads all that a run would read.
    json
        Write the plan as JSON to standard output.
    """
    from flows.console import messages, notes, write_json
    from flows.plan_release import plan_release
    from flows.run.plan_report import plan_to_dict, show_plan
    from flows.run.progress import RunProgress
    from flows.run.request import RunRequest
    from infra.settings import load_settings

    request = RunRequest(
        tuple(release),
        store,
        layout,
        option_types.models(model),
        threshold,
        option_types.classes(classes),
        targets=option_types.path(targets),
        redshifts=option_types.path(redshifts),
        class_of=option_types.class_name(class_of),
        method=method,
        settings=option_types.settings(setting),
        check_data=check_data,
    )
    option_types.at_least("--workers", workers, 0)
    with RunProgress(notes()) as progress:
        planned = plan_release(
            request, load_settings(), [progress], workers=workers, rates=rates, measure=measure
        )
    if json:
        write_json(plan_to_dict(planned.prepared, planned.forecast))
    show_plan(messages(json), planned.prepared, planned.forecast)
    return 3 if planned.prepared.listing.refused else 0


def run(
    release: Release,
    /,
    *,
    store: Store,
    layout: Annotated[str, Parameter(group=_PLACE)] = "",
    model: Annotated[tuple[str, ...], Parameter(group=_MODEL, negative=())] = (),
    threshold: Annotated[float | None, Parameter(group=_MODEL)] = None,
    classes: Annotated[str | None, Parameter(group=_MODEL)] = None,
    adapt: Annotated[Path | None, Parameter(group=_MODEL)] = None,
    targets: Annotated[Path | None, Parameter(group=_OWN)] = None,
    redshifts: Annotated[Path | None, Parameter(group=_OWN)] = None,
    class_of: Annotated[str | None, Parameter(group=_OWN)] = None,
    method: Annotated[str | None, Parameter(group=_METHOD)] = None,
    setting: Annotated[tuple[str, ...], Parameter(group=_METHOD, negative=())] = (),
    preset: Annotated[
        Literal["nearest", "paper", "reference-code"] | None, Parameter(group=_OCCLUSION)
    ] = None,
    baseline_source: Annotated[Literal["nearest", "random"] | None, Parameter(group=_OCCLUSION)] = None,
    spacing: Annotated[Literal["sparse", "dense", "tiled"] | None, Parameter(group=_OCCLUSION)] = None,
    combination: Annotated[
        Literal["mean", "significance", "inverse-variance", "inverse-deviation"] | None,
        Parameter(group=_OCCLUSION),
    ] = None,
    windows: Annotated[str | None, Parameter(group=_OCCLUSION)] = None,
    offsets: Annotated[str | None, Parameter(group=_OCCLUSION)] = None,
    baselines: Annotated[int | None, Parameter(group=_OCCLUSION)] = None,
    score_only: Annotated[bool, Parameter(negative="", group=_EXPLAIN)] = False,
    explain_top: Annotated[int | None, Parameter(group=_EXPLAIN)] = None,
    memory: Annotated[str | None, Parameter(group=_PLACE)] = None,
    executor: Annotated[Literal["ray", "serial"], Parameter(group=_PLACE)] = "ray",
    workers: Annotated[int, Parameter(group=_PLACE)] = 0,
    threads_per_worker: Annotated[int | None, Parameter(group=_PLACE)] = None,
    block_rows: Annotated[int | None, Parameter(group=_PLACE)] = None,
    outlier_block_rows: Annotated[int | None, Parameter(group=_PLACE)] = None,
    check_data: Annotated[bool, Parameter(negative="", group=_PLACE)] = False,
    wait: Annotated[float, Parameter(group=_PLACE)] = 0.0,
    json: Json = False,
) -> int:
    """Score a release, select its outliers and explain them, into a store.

    whyspec run release --store odd.zarr --threshold 0.01

    Run it again after files were added or changed, or after it was killed. It does not repeat finished work.
    Options that are left out keep the store's values; a new store gets the defaults.

    Parameters
    ----------
    release
        One directory, or files of spectra; paths or URLs.
    store
        Path or URL of the store (Zarr), made if there is none.
    layout
        Name of the release's layout; recognised if left out.
    model
        Name or directory of a scoring model. Separate several by commas, or repeat --model. Each scores the
        spectral classes that its card names. Default: all that ship for the survey.
    threshold
        Tail probability at or below which a spectrum is an outlier. Default 0.01: one in a hundred of
        the model's calibration set is as odd.
    classes
        Spectral classes to score, e.g. GALAXY,QSO; all for every spectrum. A single model scores them
        whatever its card says. Default: the classes of the models' cards.
    adapt
        Adapt the models to the release first, as whyspec adapt does, each in a directory of its own below
        this one, and score by these. One for which the release has too few spectra stays as it is. A run
        that continues does not adapt again.
    targets
        Table that names the only spectra to read, by TARGETID (SPECOBJID), key, or plate, MJD and fiber:
        FITS, Parquet, VOTable, ECSV, CSV, or a text with one in each line. Give it again with the same store.
    redshifts
        Table of redshifts by such names, columns z and, where it has one, class. They go before those of the
        survey's pipeline. Give it again with the same store.
    class_of
        Class that all spectra are taken for, e.g. QSO; a class in --redshifts goes before it. Default: that
        of the survey's pipeline.
    method
        Name of the method of attribution that explains; whyspec methods lists all. Default: occlusion.
    setting
        A setting of the method, NAME=VALUE; repeat --setting for more. Lists have commas between. Default:
        those that whyspec methods shows.
    preset
        A name for the next three. nearest: nearest, sparse, mean; locates best. paper: random, dense,
        inverse-variance (Shen & Melchior). reference-code: random, tiled, inverse-deviation, as in their
        code; faster, coarser. Default: nearest.
    baseline_source
        nearest: the typical spectra most like the outlier. random: any.
    spacing
        Of windows: dense, one around every pixel; sparse, wide ones some pixels apart; tiled, side by side.
    combination
        Of the maps of all widths: mean, in nat; significance, in standard deviations over baselines; weights
        inverse-variance or inverse-deviation.
    windows
        Window widths in pixels, increasing. Default: 1,4,16,64,256,1024.
    offsets
        First border of each width's tiles in pixels, e.g. 0,0,0. Default: half of all widths up to it.
    baselines
        Number of typical spectra into which pieces of the outlier are pasted. Default: 8.
    score_only
        Score, select and explain nothing: a ranked list does not wait for maps. A run without this option
        explains the outliers later.
    explain_top
        Explain outliers until the so many oddest of the store are explained. A run without this option
        explains the others later.
    memory
        Memory for the attribution of one spectrum in each process, e.g. 512MB. Default: 256 MB, or half of a
        GPU's memory.
    executor
        ray: one process per CPU or GPU, here or on a cluster. serial: this process alone.
    workers
        Number of processes; 0 for all CPUs or GPUs.
    threads_per_worker
        Torch threads per process. Default: 1.
    block_rows
        Spectra per block, the unit of work and of storage. Default: from the release's size.
    outlier_block_rows
        Explanations per block. Default: from the release's size.
    check_data
        Compare new files with the DATASUMs in their headers first. This reads them twice. Without it a run
        compares only files that one block reads completely: nearly all.
    wait
        Seconds to wait for another run on the store to end; inf for as long as it takes.
    json
        Write the summary as JSON to standard output.
    """
    from flows.console import messages, notes, report_name, show_next, write_json
    from flows.run.progress import RunProgress
    from flows.run.request import RunRequest
    from flows.run.summary_tables import show_summary
    from flows.run_release import run_release
    from infra.settings import load_settings

    request = RunRequest(
        release=tuple(release),
        store=store,
        layout=layout,
        models=option_types.models(model),
        threshold=threshold,
        classes=option_types.classes(classes),
        targets=option_types.path(targets),
        redshifts=option_types.path(redshifts),
        class_of=option_types.class_name(class_of),
        method=method,
        settings=option_types.settings(setting),
        preset=preset,
        baseline_source=baseline_source,
        spacing=spacing,
        combination=combination,
        windows=option_types.windows(windows),
        offsets=option_types.offsets(offsets),
        baselines=baselines,
        block_rows=block_rows,
        outlier_block_rows=outlier_block_rows,
        executor=executor,
        workers=workers,
        explain_top=option_types.explained(score_only, explain_top),
        check_data=check_data,
        wait=option_types.seconds(wait),
    )
    if adapt is not None:
        request = _adapted(request, adapt)
    given = option_types.given(threads_per_worker=threads_per_worker)
    settings = load_settings(**option_types.memory(memory), **given)
    with RunProgress(notes()) as progress:
        summary = run_release(request, settings, [progress])
    if json:
        write_json(summary.to_dict())
    console = messages(json)
    show_summary(console, summary)
    if summary.did_something:
        listed = (("query", store),) if summary.store_waiting else ()
        clustered = (("cluster", store),) if summary.store_outliers > summary.store_waiting else ()
        show_next(console, *listed, *clustered, ("report", store, "-o", report_name(store)))
    return 3 if summary.quarantined else 0


def _adapted(request: RunRequest, directory: Path) -> RunRequest:
    """The request, its models adapted to its release, shown as it goes."""
    from flows.adapted_run import with_adapted_models
    from flows.console import notes
    from flows.training.progress import TrainingBars
    from infra.settings import load_settings, own_threads

    with TrainingBars(notes()) as bars:
        return with_adapted_models(request, directory, own_threads(load_settings()), [bars])
