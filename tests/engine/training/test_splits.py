"""Splits of a training: no object in two of them, whatever else is in the release."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spectra.rows import Rows
from engine.surveys.desi.survey import DESI
from engine.surveys.listing import list_release
from engine.surveys.reading import open_spectra
from engine.surveys.sdss.survey import SDSS
from engine.training.splits import SAME_OBJECT, Split, objects

SHARES = [(0.05, 0.2), (0.3, 0.3), (0.45, 0.45)]


def desi_rows(target_ids: list[int]) -> Rows:
    rows = Rows.empty(len(target_ids))
    rows.data["target_id"] = target_ids
    return rows


def sdss_rows(positions: list[tuple[float, float]]) -> Rows:
    rows = Rows.empty(len(positions))
    rows.data["ra"], rows.data["dec"] = np.transpose(positions)
    rows.data["plate"], rows.data["fiber"] = 266, np.arange(len(positions))
    return rows


def separation(rows: Rows, first: int, second: int) -> float:
    """Degrees, by the chord: exact at small distances."""
    ra, dec = np.radians(rows["ra"]), np.radians(rows["dec"])
    point = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    return float(np.degrees(2 * np.arcsin(np.linalg.norm(point[first] - point[second]) / 2)))


@pytest.mark.real_data
def test_repeated_observations_of_real_objects_are_in_one_split(real_data: Path) -> None:
    files = sorted(str(path) for path in (real_data / "real" / "sdss").rglob("*.fits"))
    parts = []
    for file in list_release(files).files:
        with open_spectra(file, 0, 0) as spectra:
            parts.append(spectra.rows(0, file.spectra))
    rows = Rows.concatenate(parts)
    pairs = [pair for pair in combinations(range(len(rows)), 2) if separation(rows, *pair) < 1.0 / 3600.0]
    # The two surveys' catalogues give slightly different positions to one object.
    apart = [pair for pair in pairs if rows["ra"][pair[0]] != rows["ra"][pair[1]]]
    assert len(pairs) > 40
    assert len(apart) > 10
    complete = 0
    for shares in SHARES:
        split = objects(rows, SDSS, *shares).split
        for first, second in pairs:
            assert split[first] == split[second] or Split.NONE in (split[first], split[second])
        complete += len(set(split.tolist()) - {Split.NONE}) == 3
    assert complete == len(SHARES)


@given(
    ra=st.floats(0.0, 360.0),
    dec=st.floats(-89.0, 89.0),
    angle=st.floats(0.0, 6.29),
    share=st.floats(0.0, 0.999),
    shares=st.sampled_from(SHARES),
)
def test_positions_close_together_are_never_in_two_splits(
    ra: float, dec: float, angle: float, share: float, shares: tuple[float, float]
) -> None:
    distance = share * SAME_OBJECT
    other = dec + distance * np.sin(angle)
    near = (ra + distance * np.cos(angle) / np.cos(np.radians(max(abs(dec), abs(other))))) % 360.0
    rows = sdss_rows([(ra, dec), (near, other)])
    split = objects(rows, SDSS, *shares).split
    assert split[0] == split[1] or Split.NONE in split


def test_positions_around_the_borders_of_cells_are_never_in_two_splits() -> None:
    """Random positions seldom lie at a border: walk over many of them in steps of two arc seconds."""
    step = 2.0 / 3600.0
    for dec in (0.03, -37.03, 61.53):
        row = sdss_rows([(0.0 + step * place / np.cos(np.radians(dec)), dec) for place in range(8000)])
        column = sdss_rows([(147.31, dec + step * place) for place in range(8000)])
        for rows in (row, column):
            split = objects(rows, SDSS, 0.3, 0.3).split
            assert set(split.tolist()) == set(Split)
            pair = np.stack([split[:-1], split[1:]])
            assert ((pair[0] == pair[1]) | (pair == Split.NONE).any(axis=0)).all()
            assert (split == Split.NONE).mean() < 0.05


def test_desi_objects_go_by_their_targetid() -> None:
    ids = list(range(39_627_000_000_000_000, 39_627_000_000_000_400))
    first, second = desi_rows(ids), desi_rows(ids[::-1])
    first.data["survey"], second.data["survey"] = "sv3", "main"
    second.data["ra"] = 12.5
    of_first, of_second = objects(first, DESI, 0.2, 0.3), objects(second, DESI, 0.2, 0.3)
    np.testing.assert_array_equal(of_first.split, of_second.split[::-1])
    np.testing.assert_array_equal(of_first.number, of_second.number[::-1])
    assert len(np.unique(of_first.number)) == len(ids)


def test_splits_have_the_shares_that_are_asked_for_and_keep_their_objects() -> None:
    rows = desi_rows(list(range(1, 20_001)))
    split = objects(rows, DESI, 0.1, 0.2).split
    for wanted, share in ((Split.VALIDATION, 0.1), (Split.CALIBRATION, 0.2), (Split.TRAINING, 0.7)):
        assert (split == wanted).mean() == pytest.approx(
            share, abs=4 * np.sqrt(share * (1 - share) / len(rows))
        )
    # Another share for calibration leaves validation as it is.
    again = objects(rows, DESI, 0.1, 0.4).split
    np.testing.assert_array_equal(split == Split.VALIDATION, again == Split.VALIDATION)
    assert (again[split == Split.CALIBRATION] == Split.CALIBRATION).all()


def test_the_number_that_samples_says_nothing_of_the_split() -> None:
    of = objects(desi_rows(list(range(1, 20_001))), DESI, 0.1, 0.2)
    smallest = np.argsort(of.number)[:4000]
    share = (of.split[smallest] == Split.CALIBRATION).mean()
    assert share == pytest.approx(0.2, abs=4 * np.sqrt(0.2 * 0.8 / 4000))
