"""A run's request whose models are adapted to its release first."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from engine.spectra.source_file import ReleaseListing
from engine.store.store import Store
from engine.training.events import Note
from engine.training.request import AdaptingRequest
from flows.adapt import OWN_CACHE, AdaptObservers, adapt_listed, listed
from flows.run.request import RunRequest
from flows.training.model_directory import check_model_directory
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard
from models.model_files import CARD, pretrained_for, read_model
from models.observers import report

_TOO_LITTLE = (ErrorKind.TOO_FEW_SPECTRA, ErrorKind.NOTHING_TO_ADAPT_TO)
"""Why a model stays as it ships."""


def with_adapted_models(
    request: RunRequest, directory: Path, threads: int, observers: AdaptObservers = ()
) -> RunRequest:
    """``request`` with its models adapted to its release, each in a directory of its own below ``directory``.

    A model that is there is not adapted again. One for which the release has too few spectra stays as it is.
    A store that exists keeps its models.

    Raises
    ------
    ConfigurationError : the store exists, and none of its models is below ``directory``; or see
        :func:`flows.adapt.adapt_model`.
    InputError : see there.
    """
    if Store.exists(request.store):
        _check_store(Store.open(request.store), directory)
        return request
    listing = listed(request.release, request.layout, observers)
    names = request.models or pretrained_for(listing.grid.name)
    adapted = tuple(_adapted(name, listing, request, directory, threads, observers) for name in names)
    return replace(request, models=adapted)


def _adapted(
    name: str,
    listing: ReleaseListing,
    request: RunRequest,
    directory: Path,
    threads: int,
    observers: AdaptObservers,
) -> str:
    """The directory of the adapted model, or ``name`` where the release has too few spectra for it."""
    card = read_model(name).card
    place = directory / card.name
    if (place / CARD).exists():
        _check_origin(read_model(str(place)).card, card, place)
        report(observers, Note(f"{card.name}: adapted before, in {place}."))
        return str(place)
    check_model_directory(place, (CARD, OWN_CACHE))
    report(observers, Note(f"{card.name}: adapt it to the release."))
    asked = AdaptingRequest(
        release=request.release,
        directory=str(place),
        name=f"{card.name}-adapted",
        model=name,
        layout=request.layout,
        threads=threads,
    )
    try:
        adapted = adapt_listed(listing, asked, observers)
    except ConfigurationError as error:
        if error.kind not in _TOO_LITTLE:
            raise
        _remove(place)
        report(observers, Note(f"{card.name}: stays as it is. {error.what} Found {error.got}."))
        return name
    before, after = (adapted.metrics.get(f"adapting_median_tail_{when}") for when in ("before", "after"))
    if before is not None and after is not None:
        report(observers, Note(f"{card.name}: median tail probability {before:.2g} before, {after:.2g} now."))
    return str(place)


def _remove(place: Path) -> None:
    """Remove what an adapting that was refused has left: its prepared spectra, and an empty directory."""
    shutil.rmtree(place / OWN_CACHE, ignore_errors=True)
    if place.exists() and not any(place.iterdir()):
        place.rmdir()


def _check_origin(found: ModelCard, wanted: ModelCard, place: Path) -> None:
    origin = found.training.get("adapted")
    digest = origin.get("from_digest") if isinstance(origin, dict) else None
    if digest == wanted.digest:
        return
    raise ConfigurationError(
        "The directory of adapted models holds one of another model.",
        where=str(place),
        got=f"{found.name}, of a model with digest {str(digest)[:12]}",
        allowed=f"one adapted from {wanted.name} ({wanted.digest[:12]})",
        remedy="Choose another --adapt.",
        kind=ErrorKind.OTHER_CONFIGURATION,
    )


def _check_store(store: Store, directory: Path) -> None:
    names = [each.name for each in store.configuration.models]
    if any(Path(name).is_relative_to(directory.resolve()) for name in names):
        return
    raise ConfigurationError(
        "The store keeps the models that it was made with, and none of them is adapted.",
        where="--adapt",
        got=f"{directory}, for a store with {', '.join(names)}",
        allowed="the directory of the store's adapted models, or a new store",
        remedy="Leave --adapt out, or choose another --store.",
        kind=ErrorKind.OTHER_CONFIGURATION,
    )
