"""Routing: one model for every class, by what its card says, or by what was asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spectra.rows import Rows
from engine.store.blocks import ClassCount
from engine.store.routing import NO_MODEL, ModelReference, assigned, class_counts, routed, summed
from models.errors import ConfigurationError
from models.model_card import ModelCard
from models.row_status import RowStatus
from models.scoring.scoring_model import ScoringModel

CLASSES = ("GALAXY", "QSO", "STAR", "")


def cards(card: ModelCard, **classes: tuple[str, ...]) -> list[tuple[str, ModelCard]]:
    return [(name, replace(card, classes=each, digest=name)) for name, each in classes.items()]


def shares(models: tuple[ModelReference, ...]) -> dict[str, tuple[str, ...]]:
    return {model.name: model.classes for model in models}


def test_cards_say_who_scores_what(tiny_model: ScoringModel) -> None:
    models = cards(tiny_model.card, g=("GALAXY",), q=("QSO", "STAR"))
    for classes in (None, ()):
        assert shares(assigned(models, classes)) == {"g": ("GALAXY",), "q": ("QSO", "STAR")}
    assert assigned(models, None)[0].latents == tiny_model.card.latents


def test_one_model_alone_scores_what_it_is_told_to(tiny_model: ScoringModel) -> None:
    models = cards(tiny_model.card, g=("GALAXY",))
    assert shares(assigned(models, None)) == {"g": ("GALAXY",)}
    assert shares(assigned(models, ("QSO",))) == {"g": ("QSO",)}
    assert shares(assigned(models, ())) == {"g": ()}


def test_a_model_for_all_classes_takes_what_no_other_names(tiny_model: ScoringModel) -> None:
    models = cards(tiny_model.card, every=(), q=("QSO",))
    assert shares(assigned(models, None)) == {"every": (), "q": ("QSO",)}
    assert shares(assigned(models, ("QSO", "STAR"))) == {"every": ("STAR",), "q": ("QSO",)}
    assert shares(assigned(models, ("QSO",))) == {"q": ("QSO",)}
    assert routed(assigned(models, None), np.array(CLASSES), np.full(4, 0.1)).tolist() == [0, 1, 0, 0]


def test_classes_leave_models_out(tiny_model: ScoringModel) -> None:
    models = cards(tiny_model.card, g=("GALAXY",), q=("QSO", "STAR"))
    assert shares(assigned(models, ("STAR",))) == {"q": ("STAR",)}


def test_two_models_for_one_class_are_refused(tiny_model: ScoringModel) -> None:
    models = cards(tiny_model.card, g=("GALAXY", "STAR"), s=("STAR",))
    with pytest.raises(
        ConfigurationError, match=r"same spectral class at the same redshifts(.|\n)*g and s are both for STAR"
    ):
        assigned(models, None)
    assert shares(assigned(models, ("GALAXY",))) == {"g": ("GALAXY",)}
    with pytest.raises(ConfigurationError, match=r"a and b are both for every class(.|\n)*--classes"):
        assigned(cards(tiny_model.card, a=(), b=()), None)


def test_a_class_without_a_model_is_refused_where_it_is_asked_for(tiny_model: ScoringModel) -> None:
    models = cards(tiny_model.card, g=("GALAXY",), q=("QSO",))
    with pytest.raises(ConfigurationError, match=r"got: STAR(.|\n)*allowed: GALAXY, QSO(.|\n)*alone"):
        assigned(models, ("QSO", "STAR"))


def test_a_reference_survives_json() -> None:
    reference = ModelReference("/models/q", "0" * 32, ("QSO",), (0.05, 1.2), 6)
    assert ModelReference.from_dict(reference.to_dict()) == reference
    assert str(reference) == f"/models/q ({'0' * 12}) for QSO at z 0.05 to 1.2"


@given(st.lists(st.sampled_from(CLASSES), max_size=30), st.permutations(["GALAXY", "QSO"]), st.booleans())
def test_every_spectrum_has_the_model_of_its_class(
    spectype: list[str], order: list[str], fallback: bool
) -> None:
    models = [ModelReference(name, "", (name,), (0.0, 1.0), 1) for name in order]
    models += [ModelReference("rest", "", (), (0.0, 1.0), 1)] if fallback else []
    names = [model.name for model in models]
    route = routed(models, np.array(spectype, dtype="U8"), np.full(len(spectype), 0.5))
    for name, number in zip(spectype, route.tolist(), strict=True):
        if name in order:
            assert names[number] == name
        else:
            assert number == (2 if fallback else NO_MODEL)


def test_models_of_one_class_share_it_by_redshift(tiny_model: ScoringModel) -> None:
    near, far, quasar = (
        replace(tiny_model.card, classes=(name,), redshift_min=low, redshift_max=high, digest=f"{low}")
        for name, low, high in (("GALAXY", 0.0, 0.65), ("GALAXY", 0.55, 1.7), ("QSO", 1.1, 4.6))
    )
    models = assigned([("near", near), ("far", far), ("quasar", quasar)], None)
    asked = [
        ("GALAXY", 0.1, 0), ("GALAXY", 0.6, 0), ("GALAXY", 0.7, 1), ("GALAXY", 2.0, 2), ("GALAXY", 9.0, 0),
        ("GALAXY", np.nan, 0), ("QSO", 3.0, 2), ("QSO", 0.3, 0), ("QSO", 0.8, 1), ("STAR", 0.0, NO_MODEL),
    ]  # fmt: skip
    spectype, redshift, wanted = zip(*asked, strict=True)
    assert routed(models, np.array(spectype), np.array(redshift)).tolist() == list(wanted)
    # A model whose redshifts are all another's would never be asked.
    with pytest.raises(ConfigurationError, match=r"near and within are both for GALAXY"):
        assigned([("near", near), ("within", replace(near, redshift_min=0.2))], None)
    # The other way round it is: it scores what it is for, and the wider one the rest.
    assert len(assigned([("within", replace(near, redshift_min=0.2)), ("near", near)], None)) == 2


def test_a_class_scored_by_two_models_is_counted_twice(tiny_model: ScoringModel) -> None:
    rows = Rows.empty(3)
    rows.data["spectype"], rows.data["status"], rows.data["snr"] = "GALAXY", RowStatus.SCORED, 5.0
    card = replace(tiny_model.card, snr_min=2.0, snr_max=10.0)
    assert class_counts(rows, np.array([0, 1, 1], dtype=np.int8), [card, card]) == (
        ClassCount("GALAXY", 0, 1, 1, 0, 0),
        ClassCount("GALAXY", 1, 2, 2, 0, 0),
    )


def test_classes_are_counted(tiny_model: ScoringModel) -> None:
    card = replace(tiny_model.card, snr_min=2.0, snr_max=10.0)
    rows = Rows.empty(9)
    data = rows.data
    data["spectype"] = ["GALAXY"] * 5 + ["QSO", "QSO", "", "GALAXY"]
    data["status"] = RowStatus.SCORED
    data["status"][[0, 1]] = RowStatus.REDSHIFT_OUT_OF_RANGE, RowStatus.NON_POSITIVE_NORMALISATION
    data["status"][[5, 6, 7]] = RowStatus.CLASS_NOT_MODELLED
    data["status"][8] = RowStatus.SKY_FIBRE
    data["snr"] = [1, 1, 1, 5, 11, 1, 1, 1, 1]
    model = np.array([0] * 5 + [NO_MODEL] * 4, dtype=np.int8)
    assert class_counts(rows, model, [card]) == (
        ClassCount("", NO_MODEL, 1, 0, 0, 0),
        ClassCount("GALAXY", 0, 5, 3, 1, 2),
        ClassCount("QSO", NO_MODEL, 2, 0, 0, 0),
    )


def test_counts_of_blocks_add_up() -> None:
    first, second = ClassCount("GALAXY", 0, 5, 3, 1, 2), ClassCount("QSO", NO_MODEL, 2, 0, 0, 0)
    assert summed([second, first, first]) == (ClassCount("GALAXY", 0, 10, 6, 2, 4), second)
    assert summed([]) == ()
