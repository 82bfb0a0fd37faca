"""Numbers of a match from arrays made by hand: repeated spectra, equal numbers, empty classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import hypergeom

from engine.match.intervals import share
from engine.match.matched_spectra import MatchedSpectra
from engine.match.objects import KnownObjects
from engine.match.pairs import Pairs
from engine.match.summary import MatchSummary, summarised

SCORED = 2000


def summary(objects: list[int], ranks: list[int], codes: list[int], top: int) -> MatchSummary:
    """Of spectra of these objects with these ranks, 0 for unscored, among 2,000 scored with 50 outliers."""
    number = len(codes)
    known = KnownObjects(
        path=Path("known.csv"),
        matched_by="position",
        column="ra, dec",
        places=np.arange(number),
        names=None,
        ra=np.zeros(number),
        dec=np.zeros(number),
        classes=("a", "b"),
        codes=np.array(codes),
        labels=np.full(number, "", object),
        rows=number,
        skipped=0,
        repeated=0,
    )
    rank = np.array(ranks)
    pairs = Pairs(np.arange(len(rank)), np.array(objects), np.zeros(len(rank)))
    outlier = (rank > 0) & (rank <= 50)
    found = MatchedSpectra(pairs, rank > 0, outlier, rank, np.arange(len(rank)), 2100, SCORED, 50)
    return summarised(known, found, top, 1 / 3600)


def test_an_object_with_several_spectra_counts_once_in_recovery() -> None:
    a, b = summary([0, 0, 0, 1, 2], [3, 900, 0, 0, 20], [0, 0, 1], 100).classes
    assert (a.objects, a.in_store, a.scored, a.outliers, a.spectra, a.oddest) == (2, 2, 1, 1, 2, 1)
    assert (b.objects, b.in_store, b.scored, b.outliers, b.spectra, b.oddest) == (1, 1, 1, 1, 1, 1)
    assert a.expected == pytest.approx(2 * 100 / SCORED)
    assert a.enrichment.value == pytest.approx(1 / a.expected)


def test_copies_of_a_spectrum_make_no_interval_narrower() -> None:
    once = summary(list(range(6)), [1, 2, 500, 501, 502, 503], [0] * 6, 100).classes[0].enrichment
    thrice = [object_ for object_ in range(6) for _ in range(3)]
    ranks = [1, 2, 3, 4, 5, 6, *range(500, 512)]
    copies = summary(thrice, ranks, [0] * 6, 100).classes[0].enrichment
    assert (copies.value, copies.low, copies.high) == pytest.approx((once.value, once.low, once.high))
    assert (once.low, once.high) == pytest.approx(
        (share(2, 6).low * SCORED / 100, share(2, 6).high * SCORED / 100)
    )


@pytest.mark.parametrize(("members", "top"), [(7, 50), (40, 100), (400, 20)])
def test_a_class_that_is_drawn_like_all_others_is_enriched_once(members: int, top: int) -> None:
    """Over all draws the interval holds 1 as often as it says, and the mean is what is expected."""
    drawn = hypergeom(SCORED, members, top)
    holds, mean = 0.0, 0.0
    for oddest in range(min(members, top) + 1):
        ranks = [*range(1, oddest + 1), *range(top + 1, top + 1 + members - oddest)]
        each = summary(list(range(members)), ranks, [0] * members, top).classes[0]
        mean += drawn.pmf(oddest) * each.enrichment.value
        holds += drawn.pmf(oddest) * (each.enrichment.low <= 1 <= each.enrichment.high)
    assert mean == pytest.approx(1.0)
    assert holds >= 0.95


def test_a_class_without_scored_spectra_has_no_shares() -> None:
    a, b = summary([0], [0], [0, 1], 10).classes
    assert (a.in_store, a.scored, b.in_store) == (1, 0, 0)
    for each in (a.recovery, a.enrichment, b.recovery, b.enrichment):
        assert np.isnan((each.value, each.low, each.high)).all()
