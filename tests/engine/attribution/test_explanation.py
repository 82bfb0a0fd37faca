"""Explanations: one table of arrays, from which store, empty values and single explanations follow."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from engine.attribution.attribution import Attribution
from engine.attribution.cause import Cause
from engine.attribution.cautions import Caution
from engine.attribution.explanation import ARRAYS, Explanation, Explanations
from engine.attribution.method import Units
from engine.attribution.places import Place
from engine.attribution.significance import Significance, trials_in
from engine.spectra.scored_spectra import SelectedSpectra
from engine.store.schema import EXPLANATIONS, arrays_of
from models.causes.estimate import Estimate, Measurement
from models.causes.quantities import VELOCITY
from models.causes.quantities import WIDTH as WIDTH_OF_LINE
from models.grid import WavelengthGrid

GRID = WavelengthGrid("small", "linear", 6400.0, 2.0, 12)
SCALES = (1, 4)
UNITS = Units()


def unexplained(count: int = 3) -> Explanations:
    random = np.random.default_rng(0)
    flux, ivar = random.random((2, count, GRID.size), dtype=np.float32)
    selected = SelectedSpectra(
        np.arange(count) + 7, np.linspace(0, 1, count), flux, ivar, np.zeros(count, np.int8)
    )
    return Explanations.unexplained(
        selected, GRID, SCALES, UNITS, np.array(["a", "b", "c"][:count], dtype=object)
    )


PLACES = (
    Place(6422.0, 6422.0 / 1.5, 12.0, 1, 0.5, "", 7.25, 6),
    Place(5008.24 * 1.5, 5008.24, 2.0, -1, 0.25, "[O III] 5008", 3.5, 1),
)


NOTHING = {
    "other_class": "",
    "target_id": -1, "place_sign": 0, "place_line": "", "place_pixels": 0, "cause": "", "not_testable": "",
    "trials": 0, "cautions": 0,
}  # fmt: skip
MEASUREMENT = Measurement(
    torch.arange(12.0),
    (Estimate(VELOCITY, -2300.0, 250.0), Estimate(WIDTH_OF_LINE, 4600.0, 500.0)),
    ("sky_residuals", "arm_step"),
)
RECONSTRUCTION = np.linspace(1, 2, 12)


def found(**changes: object) -> Attribution:
    maps = np.arange(24, dtype=np.float32).reshape(2, 12)
    values: dict[str, object] = {
        "scales": np.array(SCALES),
        "maps": maps,
        "spread": maps / 2,
        "combined": maps[1],
        "score": 9.0,
        "baseline_scores": np.array([1.0, 3.0]),
        "baseline": np.ones(12, np.float32),
        "peak_pixel": 11,
        "peak_scale": 4,
    }
    return Attribution(**{**values, **changes})  # type: ignore[arg-type]


def test_the_store_holds_exactly_the_arrays_of_the_table() -> None:
    assert list(ARRAYS) == [each.name for each in fields(Explanations)][3:]
    assert list(EXPLANATIONS) == list(ARRAYS)
    assert tuple(EXPLANATIONS.values()) == arrays_of("attribution")
    assert {spec.group for spec in EXPLANATIONS.values()} == {"outliers"}
    for name, array in ARRAYS.items():
        spec = EXPLANATIONS[name]
        assert (spec.dtype, spec.unit, spec.description) == (array.dtype, array.unit, array.description)
        np.testing.assert_equal(spec.fill, array.fill)
        assert len(spec.dims) == 1 + len(array.dims)


def test_of_a_spectrum_that_is_not_explained_only_what_was_scored_is_known() -> None:
    given = unexplained()
    known = {"row", "key", "redshift", "model", "flux", "ivar"}
    for name, array in ARRAYS.items():
        values = getattr(given, name)
        if array.dtype != "string":
            assert values.dtype == array.dtype, name
        if name not in known:
            nothing = NOTHING.get(name, np.nan)
            np.testing.assert_array_equal(values, np.full_like(values, nothing), err_msg=name)


def test_one_of_many_has_every_array_without_the_first_dimension() -> None:
    given = unexplained()
    cause = Cause("broad_lines", 0.75, 0.125)
    given.ivar[1, 3] = 0.0
    given.fill(1, found(), cause, MEASUREMENT, RECONSTRUCTION, PLACES, Caution.EDGE)
    assert given.one(1).named_cause == Cause("broad_lines", 0.75, 0.125)
    one = given.one(1)
    assert {each.name for each in fields(Explanation)} == {each.name for each in fields(Explanations)}
    assert (one.row, one.key, one.redshift) == (8, "b", 0.5)
    assert (one.explained_score, one.baseline_score) == (9.0, 2.0)
    assert one.places == PLACES
    assert given.one(0).places == ()
    assert one.cautions == Caution.EDGE
    assert one.estimates == MEASUREMENT.estimates
    assert given.one(0).estimates == ()
    assert one.not_testable == "sky_residuals arm_step"
    np.testing.assert_array_equal(one.template, np.arange(12))
    np.testing.assert_array_equal(one.reconstruction, RECONSTRUCTION.astype(np.float32))
    assert one.significance(2000) == Significance(7.25, 6, trials_in(11), 2000)
    for name in ("flux", "maps", "spread", "combined", "baseline"):
        np.testing.assert_array_equal(getattr(one, name), getattr(given, name)[1])
    np.testing.assert_array_equal(one.wavelength, GRID.wavelength())
    assert np.isnan(given.maps[[0, 2]]).all()


def test_a_method_without_baselines_or_places_leaves_them_unknown() -> None:
    given = unexplained()
    nothing = found(baseline=None, baseline_scores=np.empty(0))
    given.fill(0, nothing, Cause("unknown", 1.0, 0.5), Measurement(), RECONSTRUCTION, (), Caution(0))
    one = given.one(0)
    assert np.isnan(one.template).all()
    assert one.estimates == ()
    assert np.isnan(one.significance(1).sigma)
    assert np.isnan(one.baseline).all()
    assert np.isnan(one.baseline_score)
    assert (one.places, one.explained_score) == ((), 9.0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"flux": np.ones((3, 5))}, r"grid of 12 pixels with 2 scales: flux \(3, 5\)"),
        ({"redshift": np.ones(2)}, r"redshift \(2,\)"),
        ({"scales": (1, 4, 16)}, r"3 scales: maps \(3, 2, 12\), spread \(3, 2, 12\)"),
    ],
)
def test_arrays_of_another_shape_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        replace(unexplained(), **change)  # type: ignore[arg-type]
