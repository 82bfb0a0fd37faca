"""Other models of a run: the one to which a spectrum is most usual, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.attribution.other_models import OtherModels
from models.causes.estimate import UsualElsewhere, UsualRedshift
from models.causes.names import ANOTHER_CLASS, WRONG_REDSHIFT
from models.scoring.scoring_model import ScoringModel
from tests.conftest import random_model

FLUX, IVAR = torch.ones(10), torch.ones(10)


class Opinionated(ScoringModel):
    """A model that finds every spectrum usual at one redshift; of one class."""

    opinion: UsualRedshift | None
    misfit: float

    def usual_redshift(self, flux: Tensor, ivar: Tensor, most_misfit: float) -> UsualRedshift | None:
        assert flux.dtype == ivar.dtype == torch.float32
        return self.opinion if self.misfit < most_misfit else None


def others(*opinions: tuple[str, float | None], misfit: float = 10.0, trials: int = 1) -> OtherModels:
    models: list[Opinionated] = []
    for name, tail in opinions:
        card = replace(random_model().card, classes=(name,))
        model = Opinionated(card, 0)
        model.opinion = None if tail is None else UsualRedshift(0.125, 1e-4, tail, trials)
        model.misfit = misfit
        models.append(model)
    return OtherModels(models)


def found(judges: OtherModels, tail: float, own: int = 0) -> UsualElsewhere | None:
    return judges.usual_elsewhere(FLUX.double(), IVAR, own, tail, own_misfit=12.0)


def test_it_is_the_class_as_far_as_the_tail_grows() -> None:
    judges = others(("GALAXY", 1.0), ("QSO", 1e-5), ("STAR", 0.4))
    elsewhere = found(judges, tail=0.001)
    assert elsewhere is not None
    assert (elsewhere.cause, elsewhere.spectral_class) == (ANOTHER_CLASS, "STAR")
    assert (elsewhere.redshift, elsewhere.error) == (0.125, 1e-4)
    # Two models were asked: half of the tail counts.
    assert elsewhere.probability == pytest.approx(1 - 0.001 / 0.2)
    grown = found(judges, tail=0.1)
    assert grown is not None
    assert grown.probability == pytest.approx(0.5)


def test_what_is_odd_to_every_model_has_no_other_class() -> None:
    judges = others(("GALAXY", 1.0), ("STAR", 0.002))
    elsewhere = found(judges, tail=1e-30)
    assert elsewhere is not None
    assert elsewhere.probability == pytest.approx(0.1)
    nowhere = found(others(("GALAXY", 1.0), ("STAR", 0.0)), tail=1e-3)
    assert nowhere is not None
    assert nowhere.probability == 0.0


def test_the_number_of_redshifts_that_were_tried_counts() -> None:
    elsewhere = found(others(("GALAXY", 1.0), ("STAR", 0.4), trials=4), tail=0.05)
    assert elsewhere is not None
    assert elsewhere.probability == pytest.approx(0.5)


def test_a_model_that_draws_the_spectrum_worse_is_no_better_one() -> None:
    assert found(others(("GALAXY", 1.0), ("STAR", 0.4), misfit=12.5), tail=0.001) is None


def test_a_model_of_the_same_class_says_that_the_redshift_is_wrong() -> None:
    elsewhere = found(others(("GALAXY", 1.0), ("GALAXY", 0.5)), tail=1e-4)
    assert elsewhere is not None
    assert (elsewhere.cause, elsewhere.spectral_class) == (WRONG_REDSHIFT, "GALAXY")


@pytest.mark.parametrize("opinions", [[("GALAXY", 1.0)], [("GALAXY", 1.0), ("STAR", None)]])
def test_without_another_model_that_can_score_there_is_none(
    opinions: Sequence[tuple[str, float | None]],
) -> None:
    assert found(others(*opinions), tail=1e-4) is None


def test_a_spectrum_that_is_usual_to_its_own_model_stays_there() -> None:
    elsewhere = found(others(("GALAXY", 1.0), ("STAR", 0.5)), tail=0.9)
    assert elsewhere is not None
    assert elsewhere.probability == 0.0
    assert not math.isnan(elsewhere.probability)
