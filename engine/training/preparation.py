"""Preparation of a training: spectra of a release in a cache, unless an earlier attempt left them there."""

from __future__ import annotations

from pathlib import Path

from engine.spectra.source_file import ReleaseListing
from engine.training import cache as training_cache
from engine.training.cache import PreparedSet
from engine.training.events import Note, TrainingObservers
from engine.training.reading import read_sample, training_population
from engine.training.request import TrainingRequest
from engine.training.sample import draw_sample
from models.observers import report


def prepare(
    listing: ReleaseListing, request: TrainingRequest, cache: Path, observers: TrainingObservers = ()
) -> PreparedSet:
    """The requested training set, in the directory ``cache``.

    Another training set there is removed first: the two are never there together.

    Raises
    ------
    ConfigurationError : no spectra of the population, no window to normalise them in, or no room.
    RetryError : the disk or network failed.
    """
    limit = _limit(listing, request, observers)
    wanted = training_cache.digest(listing, request, limit)
    prepared = training_cache.find_prepared(cache, wanted)
    if prepared is not None:
        report(observers, Note(f"The {len(prepared.split):,} prepared spectra are used again."))
        return prepared
    sample = draw_sample(listing, request, limit, observers)
    writer = training_cache.begin(cache, sample, listing.grid)
    population = training_population(listing, request, sample.redshift_range)
    usable = read_sample(sample, population, writer, observers)
    return training_cache.finish(cache, sample, usable, listing.grid.size, wanted)


def _limit(listing: ReleaseListing, request: TrainingRequest, observers: TrainingObservers) -> int:
    """How many spectra to use at most: what is asked for, as far as the cache may hold them."""
    asked = min(request.limit, listing.spectra)
    limit = training_cache.capacity(listing.grid, asked, request.cache_bytes)
    if limit < asked:
        text = (
            f"A cache of {request.cache_bytes:,} bytes holds {limit:,} of {asked:,} spectra: the others are "
            "left out."
        )
        report(observers, Note(text))
    return limit
