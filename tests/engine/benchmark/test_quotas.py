"""Quotas: what fits into the time, and who gets what is left."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.benchmark.quotas import CONTROLLED, LEAST, Cost, quotas

COSTS = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.builds(Cost, st.floats(1e-3, 30), st.floats(1e-3, 0.2)),
    min_size=1,
)


@given(COSTS, st.integers(1, 100), st.floats(1, 1e5))
def test_the_time_is_kept_unless_everyone_has_the_least(
    costs: dict[str, Cost], spectra: int, seconds: float
) -> None:
    found = quotas(costs, spectra, seconds)
    assert list(found) == list(costs)
    least = min(LEAST, spectra)
    for quota in found.values():
        assert least <= quota.judged <= spectra
        assert quota.controlled == math.ceil(quota.judged / CONTROLLED)
    total = sum(quota.seconds for quota in found.values())
    assert total <= seconds + 0.1 * len(found) or any(quota.judged == least for quota in found.values())


def test_the_reference_may_take_half_of_the_time() -> None:
    many = {name: Cost(1, 0) for name in ("reference", "other", *map(str, range(10)))}
    found = quotas(many, 1000, 300.0, "reference")
    assert found["reference"].seconds == pytest.approx(150, abs=10)
    assert found["other"].seconds < 20
    assert quotas(many, 10, 300.0, "reference")["reference"].judged == 10


def test_without_a_bound_every_method_has_every_spectrum() -> None:
    found = quotas({"dear": Cost(60, 1), "cheap": Cost(0.01, 0.1)}, 100, math.inf)
    assert {quota.judged for quota in found.values()} == {100}


def test_what_a_cheap_method_leaves_goes_to_a_dear_one() -> None:
    alone = quotas({"dear": Cost(1, 0)}, 1000, 100.0)["dear"]
    beside = quotas({"dear": Cost(1, 0), "cheap": Cost(1e-6, 0)}, 1000, 100.0)
    assert beside["cheap"].judged == 1000
    assert beside["dear"].judged == alone.judged
