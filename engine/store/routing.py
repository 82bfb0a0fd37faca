"""Routing: which model of a run scores which spectral class, and counts of the classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.spectra.rows import Rows
from engine.store.blocks import ClassCount
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard
from models.row_status import RowStatus

NO_MODEL = -1
"""Stands for the model of a row that no model was given."""


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model of a run, and what it scores there.

    Attributes
    ----------
    name : of a shipped model, or the directory of another.
    digest : of its weights and card.
    classes : spectral classes that it scores in this run; empty for all that no other model names.
    latents : their number.
    """

    name: str
    digest: str
    classes: tuple[str, ...]
    latents: int

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:12]}) for {self.scores}"

    @property
    def scores(self) -> str:
        """The classes for people."""
        return ", ".join(self.classes) or "every class without a model of its own"

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description; :meth:`from_dict` is its inverse."""
        return {
            "name": self.name,
            "digest": self.digest,
            "classes": list(self.classes),
            "latents": self.latents,
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> ModelReference:
        """The reference that :meth:`to_dict` described."""
        return cls(
            name=str(description["name"]),
            digest=str(description["digest"]),
            classes=tuple(str(name) for name in description["classes"]),
            latents=int(description["latents"]),
        )


def assigned(
    models: Sequence[tuple[str, ModelCard]], classes: tuple[str, ...] | None
) -> tuple[ModelReference, ...]:
    """Give each model the classes that it scores; models for which none are left are left out.

    A card without classes is of a model for all of them: alone it gets every spectrum, beside others those
    of the classes that no other card names.

    Parameters
    ----------
    models : name and card of each.
    classes : to score, whatever a card says where there is one model; among several each gets those of its
        card. Empty for all; ``None`` for those of the cards.

    Raises
    ------
    ConfigurationError : two models are for the same class, or none is for one that is asked for.
    """
    if len(models) == 1 and classes is not None:
        ((name, card),) = models
        return (ModelReference(name, card.digest, classes, card.latents),)
    owner: dict[str, str] = {}
    fallback = ""
    for name, card in models:
        for wanted in card.classes:
            if wanted in owner and (not classes or wanted in classes):
                raise _shared(wanted, owner[wanted], name)
            owner[wanted] = name
        if not card.classes:
            if fallback:
                raise _shared("every class", fallback, name)
            fallback = name
    if not classes:
        return tuple(ModelReference(name, card.digest, card.classes, card.latents) for name, card in models)
    missing = [wanted for wanted in classes if wanted not in owner]
    if missing and not fallback:
        raise ConfigurationError(
            "No model of the run is for a class that is to be scored.",
            where="--classes",
            got=", ".join(missing),
            allowed=", ".join(owner) or "none",
            remedy="Leave the class out, or name a --model for it; one --model alone scores any class.",
            kind=ErrorKind.CLASS_WITHOUT_MODEL,
        )
    shares = {
        name: tuple(each for each in classes if each in card.classes) if card.classes else tuple(missing)
        for name, card in models
    }
    return tuple(
        ModelReference(name, card.digest, shares[name], card.latents) for name, card in models if shares[name]
    )


def routed(models: Sequence[ModelReference], spectype: NDArray[np.str_]) -> NDArray[np.int8]:
    """Place in ``models`` of the model of each spectrum's class (n,); ``NO_MODEL`` where there is none."""
    route = np.full(len(spectype), NO_MODEL, dtype=np.int8)
    for number, model in enumerate(models):
        if not model.classes:
            route[:] = number
    for number, model in enumerate(models):
        if model.classes:
            route[np.isin(spectype, model.classes)] = number
    return route


def class_counts(rows: Rows, model: NDArray[np.int8], cards: Sequence[ModelCard]) -> tuple[ClassCount, ...]:
    """How the classes of n finished rows fared, by class.

    Parameters
    ----------
    rows : with their final status.
    model : (n,) the model that each was given to, ``NO_MODEL`` where none was.
    cards : of the models.
    """
    status, snr = rows["status"], rows["snr"]
    meant = (model != NO_MODEL) | (status == RowStatus.CLASS_NOT_MODELLED)
    counts = []
    for name in np.unique(rows["spectype"][meant]).tolist():
        chosen = meant & (rows["spectype"] == name)
        number = int(model[chosen][0])
        scored = chosen & (status == RowStatus.SCORED)
        noise = 0
        if number != NO_MODEL:
            card = cards[number]
            noise = int(((snr < card.snr_min) | (snr > card.snr_max))[scored].sum())
        counts.append(
            ClassCount(
                spectype=name,
                model=number,
                spectra=int(chosen.sum()),
                scored=int(scored.sum()),
                redshift_outside=int((status[chosen] == RowStatus.REDSHIFT_OUT_OF_RANGE).sum()),
                snr_outside=noise,
            )
        )
    return tuple(counts)


def summed(counts: Iterable[ClassCount]) -> tuple[ClassCount, ...]:
    """The counts of several blocks as one for each class and model, sorted."""
    totals: dict[tuple[str, int], ClassCount] = {}
    for count in counts:
        key = (count.spectype, count.model)
        old = totals.get(key, ClassCount(*key, 0, 0, 0, 0))
        totals[key] = ClassCount(
            *key,
            spectra=old.spectra + count.spectra,
            scored=old.scored + count.scored,
            redshift_outside=old.redshift_outside + count.redshift_outside,
            snr_outside=old.snr_outside + count.snr_outside,
        )
    return tuple(totals[key] for key in sorted(totals))


def unmodelled(counts: Iterable[ClassCount]) -> str:
    """Classes without a model and their spectra as text, ``QSO 412, STAR 90``; empty if there are none."""
    return ", ".join(
        f"{count.spectype or 'no class'} {count.spectra:,}" for count in counts if count.model == NO_MODEL
    )


def _shared(wanted: str, first: str, second: str) -> ConfigurationError:
    return ConfigurationError(
        "Two models of the run are for the same spectral class.",
        where="--model",
        got=f"{first} and {second} are both for {wanted}",
        allowed="one model for each class",
        remedy="Name one of them, or restrict the run with --classes to classes that they do not share.",
        kind=ErrorKind.CLASS_TWICE,
    )
