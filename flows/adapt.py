"""Adapting: a trained model is brought to the spectra of a release."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from engine.run.events import FilesListed
from engine.spectra.source_file import ReleaseListing
from engine.surveys.listing import list_release
from engine.surveys.surveys import reader_of
from engine.training.cache import PreparedSet, locked
from engine.training.events import AdaptingStep, TrainingEvent
from engine.training.populations import POPULATIONS, PopulationName
from engine.training.preparation import prepare
from engine.training.request import AdaptingRequest, TrainingRequest
from flows.training.adapted import PICTURE, adapted_card, adapting_png
from flows.training.model_directory import check_model_directory
from infra.flow_call import as_flow
from models.atomic_files import write_durably
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard
from models.model_files import CARD
from models.observers import Observer, report
from models.training.adapting import AdaptingSettings, adapt
from models.weights import load_local_model, save_model

OWN_CACHE = "training-set"
"""Where the prepared spectra lie below the model's directory, if no cache is named."""
PARTS, CALIBRATION = 0.25, 0.4
"""Shares of the objects for the parts of the score, and for the calibration."""

AdaptObservers = Sequence[Observer[FilesListed | TrainingEvent]]


def adapt_to_release(request: AdaptingRequest, observers: AdaptObservers) -> ModelCard:
    """:func:`adapt_model`, as a flow of the user's Prefect server if there is one."""

    def work(request: AdaptingRequest) -> ModelCard:
        return adapt_model(request, observers)

    return as_flow("adapt", work)(request)


def adapt_model(request: AdaptingRequest, observers: AdaptObservers = ()) -> ModelCard:
    """List, choose, prepare, adapt, save; returns the card of the saved model.

    Started again after it was killed, it takes the prepared spectra, if these were complete, and does the
    rest anew, to the same bytes.

    Raises
    ------
    InputError : there is no release or no model, or the directory of model or cache holds something else.
    ConfigurationError : the model is of another kind or another survey, or too few spectra are of its classes
        and redshifts.
    """
    check_model_directory(Path(request.directory), (CARD, OWN_CACHE))
    return adapt_listed(listed(request.release, request.layout, observers), request, observers)


def listed(release: tuple[str, ...], layout: str, observers: AdaptObservers) -> ReleaseListing:
    """The files of a release."""

    def on_listed(done: int, files: int) -> None:
        report(observers, FilesListed(done, files))

    return list_release(release, layout, on_listed)


def adapt_listed(
    listing: ReleaseListing, request: AdaptingRequest, observers: AdaptObservers = ()
) -> ModelCard:
    """:func:`adapt_model` to the files of ``listing``; raises what it raises. The directory was checked."""
    directory = Path(request.directory)
    model = load_local_model(request.model)
    card = model.card

    def on_step(title: str, spectra: int) -> None:
        report(observers, AdaptingStep(title, spectra))

    _check_grid(listing, card)
    training = _training_request(listing, request, card)
    with locked(Path(request.cache) if request.cache else directory / OWN_CACHE) as cache:
        prepared = _prepared(listing, training, card, cache, observers)
        settings = AdaptingSettings(request.outliers, request.seed, request.threads)
        changed = adapt(model, prepared.split, settings, on_step)
        model.card = adapted_card(card, model.card, changed, listing, request)
        saved = save_model(model, directory)
        write_durably(directory / PICTURE, adapting_png(changed))
    if not request.cache:
        shutil.rmtree(directory / OWN_CACHE)
    return saved


def _training_request(listing: ReleaseListing, request: AdaptingRequest, card: ModelCard) -> TrainingRequest:
    """The sample: of the model's classes, at its redshifts, normalised as it wants them."""
    return TrainingRequest(
        release=request.release,
        directory=request.directory,
        name=request.name,
        layout=request.layout,
        population=_population(listing, card),
        redshift=(card.redshift_min, card.redshift_max),
        window=(card.normalisation_min, card.normalisation_max),
        limit=request.limit,
        validation=PARTS,
        calibration=CALIBRATION,
        cache=request.cache,
        cache_bytes=request.cache_bytes,
        seed=request.seed,
        threads=request.threads,
    )


def _population(listing: ReleaseListing, card: ModelCard) -> PopulationName:
    survey, _ = reader_of(listing.files[0].reader)
    for name in POPULATIONS:
        if survey.classes_of(name) == card.classes:
            return name
    raise _nothing(listing, card, f"the classes of {survey.name} are others")


def _check_grid(listing: ReleaseListing, card: ModelCard) -> None:
    if listing.grid != card.grid:
        raise ConfigurationError(
            "The model is of another survey than the release.",
            where="--model",
            got=f"{card.name}, on grid {card.grid.name}",
            allowed=f"a model on grid {listing.grid.name}",
            remedy="Name a model of the release's survey, or train one with `whyspec train`.",
            kind=ErrorKind.GRID_MISMATCH,
        )


def _prepared(
    listing: ReleaseListing,
    training: TrainingRequest,
    card: ModelCard,
    cache: Path,
    observers: AdaptObservers,
) -> PreparedSet:
    try:
        prepared = prepare(listing, training, cache, observers)
    except ConfigurationError as error:
        if error.kind is ErrorKind.NOTHING_TO_TRAIN_ON:
            raise _nothing(listing, card, "none") from error
        raise
    return prepared


def _nothing(listing: ReleaseListing, card: ModelCard, got: str) -> ConfigurationError:
    return ConfigurationError(
        "The release holds no spectra that the model is for.",
        where=listing.root,
        got=f"{got}, of {listing.spectra:,} spectra",
        allowed=f"class {', '.join(card.classes) or 'any'}, redshifts {card.redshift_min:.3g} to "
        f"{card.redshift_max:.3g}",
        remedy="Name a --model of the release's classes; or give the release with its redshift catalogues.",
        kind=ErrorKind.NOTHING_TO_ADAPT_TO,
    )
