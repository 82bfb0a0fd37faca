"""A cause: the most probable one, unknown among them, and how much of it is the instrument's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.attribution.cause import Cause, cause_of
from models.causes.estimate import BetterRedshift, UsualElsewhere
from models.causes.names import (
    ANOTHER_CLASS,
    REALMS,
    TEMPLATE_CAUSES,
    UNKNOWN,
    WRONG_REDSHIFT,
    Realm,
)


def probabilities(**of: float) -> NDArray[np.float64]:
    return np.array([of.get(name, 0.0) for name in TEMPLATE_CAUSES])


@pytest.mark.parametrize("name", TEMPLATE_CAUSES)
def test_the_most_probable_is_the_cause(name: str) -> None:
    found = cause_of(probabilities(**{name: 0.8}))
    assert found.name == name
    assert found.probability == pytest.approx(0.8)
    assert found.instrument == pytest.approx(0.1 if REALMS[name] is Realm.SOURCE else 0.9)


def test_what_is_left_is_unknown_and_counts_half() -> None:
    assert cause_of(probabilities()) == Cause(UNKNOWN, 1.0, 0.5)
    found = cause_of(probabilities(broad_lines=0.2, sky_residuals=0.1))
    assert (found.name, found.probability) == (UNKNOWN, pytest.approx(0.7))
    assert found.instrument == pytest.approx(0.45)


def test_a_wrong_redshift_takes_its_probability_from_all_others() -> None:
    found = cause_of(probabilities(second_redshift=0.9), BetterRedshift(0.3, 1e-4, 0.75))
    assert (found.name, found.probability) == (WRONG_REDSHIFT, 0.75)
    assert found.instrument == pytest.approx(0.75 + 0.25 * 0.1 * 0.5)
    found = cause_of(probabilities(second_redshift=0.9), BetterRedshift(0.3, 1e-4, 0.25))
    assert (found.name, found.probability) == ("second_redshift", pytest.approx(0.675))


def test_of_a_better_redshift_and_another_model_the_more_probable_counts() -> None:
    better = BetterRedshift(0.3, 1e-4, 0.5)
    star = UsualElsewhere(ANOTHER_CLASS, "STAR", 0.0, 1e-4, 0.75)
    found = cause_of(probabilities(second_redshift=0.9), better, star)
    assert found == Cause(ANOTHER_CLASS, 0.75, pytest.approx(0.75 + 0.25 * 0.1 * 0.5), "STAR")
    assert str(found).startswith("another class (STAR), 75%;")
    # A model of the same class for other redshifts says that the redshift is wrong.
    distant = UsualElsewhere(WRONG_REDSHIFT, "GALAXY", 1.2, 1e-4, 0.75)
    assert cause_of(probabilities(second_redshift=0.9), better, distant).name == WRONG_REDSHIFT
    less = UsualElsewhere(ANOTHER_CLASS, "STAR", 0.0, 1e-4, 0.4)
    found = cause_of(probabilities(second_redshift=0.9), better, less)
    assert (found.name, found.probability, found.other_class) == (WRONG_REDSHIFT, 0.5, "")
    # What is named is another cause: no other model is told of.
    assert cause_of(probabilities(second_redshift=0.9), None, less).other_class == ""


def test_it_reads_as_a_sentence_would() -> None:
    found = cause_of(probabilities(second_redshift=0.95, single_pixels=0.05))
    assert str(found) == "second redshift, 95%; instrument, sky or reduction 5%"
