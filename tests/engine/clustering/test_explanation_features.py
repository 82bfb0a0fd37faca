"""Features of explanations: what they keep and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from engine.clustering.features import explanation_features, has_shape
from engine.clustering.rest_frame import RestGrid
from tests.engine.clustering.synthetic import SMALL_GRID, synthetic

REST = RestGrid.covering(SMALL_GRID, 0.0, 0.5, 0.005)


def features(combined: np.ndarray, redshift: float = 0.1, good: np.ndarray | None = None) -> np.ndarray:
    if good is None:
        good = np.ones(combined.shape, dtype=np.bool_)
    return explanation_features(combined, good, np.full(len(combined), redshift), SMALL_GRID, REST)


def test_rows_have_length_one_over_the_observed_bins_and_nan_elsewhere() -> None:
    found = synthetic(20)
    result = explanation_features(found.combined, found.ivar > 0, found.redshift, SMALL_GRID, REST)
    np.testing.assert_allclose(np.nansum(result.astype(np.float64) ** 2, axis=1), 1.0, rtol=1e-6)
    centre = REST.wavelength()
    for row, z in zip(result, found.redshift, strict=True):
        inside = (centre * (1 + z) > 3650) & (centre * (1 + z) < 8700)
        assert np.isfinite(row[inside]).all()
        assert np.isnan(row[(centre * (1 + z) < 3550) | (centre * (1 + z) > 9900)]).all()


def test_size_of_the_attribution_and_its_negative_part_do_not_matter() -> None:
    found = synthetic(6)
    good = found.ivar > 0
    base = explanation_features(found.combined, good, found.redshift, SMALL_GRID, REST)
    scaled = explanation_features(found.combined * 16, good, found.redshift, SMALL_GRID, REST)
    np.testing.assert_array_equal(base, scaled)
    clipped = np.clip(found.combined, 0, None)
    np.testing.assert_array_equal(base, explanation_features(clipped, good, found.redshift, SMALL_GRID, REST))


def test_the_same_line_at_any_redshift_gives_nearly_the_same_features() -> None:
    rows = []
    for z in np.linspace(0.1, 0.3, 9):
        bump = np.exp(-0.5 * ((SMALL_GRID.wavelength() - 5008.24 * (1 + z)) / (20 * (1 + z))) ** 2)
        rows.append(features(bump[None], z)[0])
    both = np.isfinite(rows).all(axis=0)
    shape = np.array(rows)[:, both]
    assert (shape @ shape.T).min() > 0.99


def test_a_mask_takes_bins_away_and_changes_no_other_direction() -> None:
    combined = synthetic(1).combined
    good = np.ones(combined.shape, dtype=np.bool_)
    good[:, 600:] = False
    result = features(combined, 0.1, good)
    observed = REST.wavelength() * 1.1
    assert np.isnan(result[0, observed > SMALL_GRID.wavelength()[605]]).all()


def test_rows_without_positive_attribution_or_not_finite_have_no_shape() -> None:
    combined = np.stack([np.full(SMALL_GRID.size, -1.0), np.zeros(SMALL_GRID.size), np.ones(SMALL_GRID.size)])
    combined = np.concatenate([combined, np.where(np.arange(SMALL_GRID.size) == 5, np.nan, 1.0)[None]])
    result = features(combined)
    assert has_shape(result).tolist() == [False, False, True, False]
    assert np.isnan(result[3]).all()
    assert np.nanmax(result[0]) == 0.0


def test_batches_do_not_show() -> None:
    found = synthetic(300)
    together = explanation_features(found.combined, found.ivar > 0, found.redshift, SMALL_GRID, REST)
    row = 217
    alone = explanation_features(
        found.combined[row : row + 1],
        found.ivar[row : row + 1] > 0,
        found.redshift[row : row + 1],
        SMALL_GRID,
        REST,
    )
    np.testing.assert_array_equal(together[row], alone[0])


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_a_line_on_a_bin_border_is_like_one_inside_a_bin(shift: float) -> None:
    # Unsmoothed, a narrow line moves wholly from one bin to the next: similarity 0.
    edge = REST.edges()[150]
    centre = edge * (1 + shift * REST.step)
    wavelength = SMALL_GRID.wavelength()
    line = np.exp(-0.5 * ((wavelength - centre * 1.1) / 8.0) ** 2)
    other = np.exp(-0.5 * ((wavelength - centre * 1.1 - 12.0) / 8.0) ** 2)
    pair = np.nan_to_num(features(np.stack([line, other])))
    assert pair[0] @ pair[1] > 0.75
