"""Rates of this machine, measured in some seconds on spectra of the release itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.run.block_reading import BATCH_SPECTRA
from engine.run.coverage import SampledFile, carrying
from engine.store.blocks import SourceSlice
from flows.run.dense_cost import estimated_passes
from flows.run.part_seconds import PartsRequest, measured_parts
from flows.run.preparation import PreparedRun
from flows.run.rates import Rates
from models.errors import QuarantineError
from models.weights import load_model

_SPECTRA = 256
"""Measured at most: two batches."""


def measured_rates(prepared: PreparedRun, sample: Sequence[SampledFile], default: Rates) -> Rates:
    """The rates with the model that carries most of the sample; ``default`` where none carries any of it.

    A damaged file in the sample gives no rates either; the plan is still shown.

    Raises
    ------
    RetryError : the disk or network is away.
    """
    models = prepared.configuration.models
    routes = [carrying(models, each.rows)[1] for each in sample]
    # Spectra of each model, by file: (files, models).
    counts = np.array([[(route == number).sum() for number in range(len(models))] for route in routes])
    if not counts.any():
        return default
    place = int(counts.sum(axis=0).argmax())
    reference = models[place]
    local = prepared.cards[place].kind == "local"
    request = PartsRequest(
        model=prepared.models[place],
        classes=reference.classes,
        configuration=prepared.configuration,
        slices=_slices(sample, counts[:, place].tolist()),
        explained=1 if local else 0,
        threads=prepared.settings.threads_per_worker,
    )
    try:
        found = measured_parts(request)
    except QuarantineError as error:
        note = f"{default.note}; nothing was measured, as a file cannot be read: {error.where}"
        return replace(default, note=note)
    parts, explaining = found.seconds, default.explaining
    if found.explained:
        explaining = parts.explain
    elif not local and (
        passes := estimated_passes(load_model(request.model), prepared.configuration.attribution)
    ):
        explaining = passes.seconds
    if not found.scored:
        return default
    return Rates(
        reading=parts.decode + parts.normalise,
        scoring=parts.score * parts.spectra / found.scored,
        explaining=explaining,
        basis="measured",
        note=f"measured here on {parts.spectra} spectra with {reference.name}, on one worker alone",
        scored=found.scored,
        outliers=found.outliers,
    )


def _slices(sample: Sequence[SampledFile], carried: Sequence[int]) -> tuple[SourceSlice, ...]:
    """Spectra to measure with: of the files with the most that the model carries, from their beginning."""
    slices: list[SourceSlice] = []
    room = _SPECTRA
    for number in sorted(range(len(sample)), key=lambda number: -carried[number]):
        if room and carried[number]:
            # A batch of each: the first is measured twice.
            stop = min(room, BATCH_SPECTRA, sample[number].file.spectra)
            part = SourceSlice(sample[number].file, 0, stop)
            slices.append(part)
            room -= part.spectra
    return tuple(slices)
