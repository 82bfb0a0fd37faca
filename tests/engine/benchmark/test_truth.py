"""Average precision and recovered widths against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.attribution.places import Place
from engine.benchmark.truth import KnownWidth, average_precision, truth_measures, width_recovered
from engine.evaluation.localisation import InjectedPlace
from engine.surveys.desi.grid import DESI_GRID


def test_average_precision_is_the_mean_precision_at_injected_pixels() -> None:
    random = np.random.default_rng(5)
    values, injected = random.permutation(200).astype(float), random.random(200) < 0.1
    ranked = injected[np.argsort(-values)]
    precisions = [ranked[: place + 1].mean() for place in np.flatnonzero(ranked)]
    assert average_precision(values, injected) == pytest.approx(np.mean(precisions))
    # Equals are one step: a map that is the same everywhere has the precision of chance.
    assert average_precision(np.ones(200), injected) == pytest.approx(injected.mean())
    assert math.isnan(average_precision(values, np.zeros(200, dtype=bool)))


def place(wavelength: float, width: float) -> Place:
    return Place(wavelength, wavelength, width, 1, 1.0, "", 9.0, 3)


@pytest.mark.parametrize(
    ("first", "width", "expected"),
    [
        (place(6000.0, 20.0), 20.0, 1.0),
        (place(6000.0, 10.1), 20.0, 1.0),
        (place(6000.0, 9.9), 20.0, 0.0),
        (place(6000.0, 41.0), 20.0, 0.0),
        (place(6100.0, 20.0), 20.0, 0.0),  # elsewhere
        (None, 20.0, 0.0),
        (place(6000.0, 20.0), math.nan, math.nan),  # a tilt is nowhere
    ],
)
def test_a_width_is_recovered_there_and_within_a_factor_of_two(
    first: Place | None, width: float, expected: float
) -> None:
    injected = np.abs(DESI_GRID.wavelength() - 6000.0) < 10.0
    assert width_recovered(first, KnownWidth(injected, width), DESI_GRID) == pytest.approx(
        expected, nan_ok=True
    )


def test_a_map_of_the_truth_is_right_in_everything() -> None:
    wavelength = DESI_GRID.wavelength()
    injected = np.abs(wavelength - 6000.0) < 10.0
    known = InjectedPlace(wavelength, np.ones(len(wavelength), dtype=bool), injected)
    width, there = KnownWidth(injected, 20.0), (place(6000.0, 20.0),)
    peak = int(np.abs(wavelength - 6000.0).argmin())
    found = truth_measures(injected.astype(float), peak, there, known, width, DESI_GRID)
    assert found == {"located": 1.0, "auc": 1.0, "average_precision": 1.0, "mass": 1.0, "width": 1.0}
    # The peak is where the explanation says, 10 Angstrom beyond at most.
    beyond = int(np.abs(wavelength - 6020.5).argmin())
    assert truth_measures(injected.astype(float), beyond, there, known, width, DESI_GRID)["located"] == 0.0
