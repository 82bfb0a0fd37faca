"""The cause of a score: the largest share, and whether it is the instrument."""

from __future__ import annotations

import numpy as np
import pytest

from engine.attribution.cause import Cause, cause_of
from models.causes.names import CAUSES, REALMS, UNKNOWN, Realm


def shares(**given: float) -> np.ndarray:
    return np.array([given.get(name, 0.0) for name in CAUSES])


@pytest.mark.parametrize("name", CAUSES)
def test_the_largest_share_is_the_cause(name: str) -> None:
    found = cause_of(shares(**{name: 0.8}))
    instrument = (0.8 if REALMS[name] is not Realm.SOURCE else 0.0) + 0.1
    assert (found.name, found.probability) == (name, 0.8)
    assert found.instrument == pytest.approx(instrument)


def test_what_no_cause_accounts_for_is_unknown_and_counts_half() -> None:
    assert cause_of(shares()) == Cause(UNKNOWN, 1.0, 0.5)
    found = cause_of(shares(broad_lines=0.2, sky_residuals=0.1))
    assert (found.name, found.probability) == (UNKNOWN, pytest.approx(0.7))
    assert found.instrument == pytest.approx(0.1 + 0.35)


def test_it_reads_as_a_sentence_would() -> None:
    found = cause_of(shares(second_redshift=0.95, single_pixels=0.05))
    assert str(found) == "second redshift, 95%; instrument, sky or reduction 5%"
