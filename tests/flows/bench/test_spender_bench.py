"""The benchmark against spender: what is timed is the same work."""

from __future__ import annotations

import pytest

from flows.bench.spender import bench_spender
from tests.models.spender.spender_made import spender_package


def test_both_ways_give_the_same_effects() -> None:
    spender_package()
    bench = bench_spender(None, windows=3, repeats=1, progress=lambda _: None)
    assert bench.largest_difference < 1e-2
    assert bench.ratio == pytest.approx(bench.spender_seconds / bench.whyspec_seconds)
    assert bench.explanation_seconds["paper"] == pytest.approx(373_496 * bench.whyspec_seconds)
    assert bench.explanation_seconds["reference-code"] < bench.explanation_seconds["paper"]
