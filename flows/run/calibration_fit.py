"""The fit of a run's models to its release: whether ordinary spectra have the tails of ordinary spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.store.blocks import BlockResult
from engine.store.store import Store
from engine.store.stored_arrays import open_array
from flows.run.class_summary import RunWarning
from models.errors import WhyspecError
from models.model_card import ModelCard

LEAST = 300
"""Fewer scored spectra than this do not tell."""
LOWEST_MEDIAN = 0.25
"""Of tail probabilities; of spectra like those of the calibration it is a half."""
_MOST_BLOCKS = 32
"""Blocks that are looked at, evenly among those of the run."""


def calibration_warnings(
    store: Store, scored: Sequence[BlockResult], cards: Sequence[ModelCard]
) -> tuple[RunWarning, ...]:
    """A warning for every model to which the spectra of these score blocks are odd as a whole."""
    chosen = sorted(scored, key=lambda result: result.index)[:: max(1, -(-len(scored) // _MOST_BLOCKS))]
    if sum(result.spectra for result in chosen) < LEAST:
        return ()
    rows = store.configuration.block_rows
    length = (chosen[-1].index + 1) * rows

    def read(path: str) -> NDArray[Any]:
        array = open_array(store.objects, store.configuration, path, length)
        return np.concatenate(
            [array[each.index * rows : each.index * rows + each.spectra] for each in chosen]
        )

    try:
        tail, model = read("scores/tail_probability"), read("scores/model")
    except WhyspecError:
        return ()  # the work is done; a store that has become unreadable since is for `whyspec verify`
    warnings = []
    for number, card in enumerate(cards):
        known = tail[(model == number) & np.isfinite(tail)]
        if len(known) >= LEAST and (median := float(np.median(known))) < LOWEST_MEDIAN:
            warnings.append(_warning(card, len(known), median))
    return tuple(warnings)


def _warning(card: ModelCard, spectra: int, median: float) -> RunWarning:
    text = (
        f"The release does not fit the calibration of {card.name}: of {spectra:,} scored spectra half have a "
        f"tail probability below {median:.2g}, not below 0.5. Tail probabilities are too small, and ordinary "
        f"spectra are among the outliers. Adapt the model with `whyspec adapt RELEASE --model {card.name} "
        "--output DIR` and run with --model DIR into a new store."
    )
    return RunWarning(text, severe=median < 0.5 * LOWEST_MEDIAN)
