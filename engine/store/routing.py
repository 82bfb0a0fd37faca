"""Routing: which model of a run scores which spectrum, by class and redshift, and counts of the classes."""

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
    redshifts : least and largest that it scores.
    latents : their number.
    """

    name: str
    digest: str
    classes: tuple[str, ...]
    redshifts: tuple[float, float]
    latents: int

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:12]}) for {self.scores}"

    @property
    def scores(self) -> str:
        """The classes and redshifts for people."""
        low, high = self.redshifts
        classes = ", ".join(self.classes) or "every class without a model of its own"
        return f"{classes} at z {low:.3g} to {high:.3g}"

    def covers(self, redshift: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether each redshift, (n,), is one that it scores; a missing one is not."""
        low, high = self.redshifts
        return np.asarray((redshift >= low) & (redshift <= high))

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description; :meth:`from_dict` is its inverse."""
        return {
            "name": self.name,
            "digest": self.digest,
            "classes": list(self.classes),
            "redshifts": list(self.redshifts),
            "latents": self.latents,
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> ModelReference:
        """The reference that :meth:`to_dict` described."""
        return cls(
            name=str(description["name"]),
            digest=str(description["digest"]),
            classes=tuple(str(name) for name in description["classes"]),
            redshifts=(float(description["redshifts"][0]), float(description["redshifts"][1])),
            latents=int(description["latents"]),
        )


def assigned(
    models: Sequence[tuple[str, ModelCard]], classes: tuple[str, ...] | None
) -> tuple[ModelReference, ...]:
    """Give each model the classes that it scores; models for which none are left are left out.

    A card without classes is of a model for all of them: alone it gets every spectrum, beside others those
    of the classes that no other card names. Several models of one class share it by redshift: where their
    ranges overlap, the first of them scores.

    Parameters
    ----------
    models : name and card of each.
    classes : to score, whatever a card says where there is one model; among several each gets those of its
        card. Empty for all; ``None`` for those of the cards.

    Raises
    ------
    ConfigurationError : a model has nothing to score that an earlier one of the same class does not, or none
        is for a class that is asked for.
    """
    if len(models) == 1 and classes is not None:
        ((name, card),) = models
        return (_reference(name, card, classes),)
    owners: dict[str, list[tuple[str, ModelCard]]] = {}
    for name, card in models:
        for wanted in card.classes or ("",):
            known = owners.setdefault(wanted, [])
            twin = next((other for other, earlier in known if _within(card, earlier)), None)
            if twin is not None and (not classes or not wanted or wanted in classes):
                raise _shared(wanted or "every class", twin, name)
            known.append((name, card))
    if not classes:
        return tuple(_reference(name, card, card.classes) for name, card in models)
    missing = [wanted for wanted in classes if wanted not in owners]
    if missing and "" not in owners:
        raise ConfigurationError(
            "No model of the run is for a class that is to be scored.",
            where="--classes",
            got=", ".join(missing),
            allowed=", ".join(owners) or "none",
            remedy="Leave the class out, or name a --model for it; one --model alone scores any class.",
            kind=ErrorKind.CLASS_WITHOUT_MODEL,
        )
    shares = {
        name: tuple(each for each in classes if each in card.classes) if card.classes else tuple(missing)
        for name, card in models
    }
    return tuple(_reference(name, card, shares[name]) for name, card in models if shares[name])


def routed(
    models: Sequence[ModelReference], spectype: NDArray[np.str_], redshift: NDArray[np.floating]
) -> NDArray[np.int8]:
    """Place in ``models`` of the model of each spectrum (n,); ``NO_MODEL`` where its class has none.

    It is the first model of the class that covers the redshift. Where none of them does, it is the first
    model of another class that does: a pipeline that gives a class a redshift which such objects never have
    is wrong about one of the two. Where no model covers the redshift, it is the first of the class, which
    will refuse it.
    """
    named = {name for model in models for name in model.classes}
    unnamed = ~np.isin(spectype, sorted(named))
    of_class = np.array(
        [np.isin(spectype, model.classes) if model.classes else unnamed for model in models]
    ).reshape(len(models), len(spectype))
    covers = np.array([model.covers(redshift) for model in models]).reshape(of_class.shape)
    meant = of_class.any(axis=0)
    route = np.full(len(spectype), NO_MODEL, dtype=np.int8)
    # The last rule first: what a better rule says replaces it.
    for rule in (of_class, covers & meant, of_class & covers):
        found = rule.any(axis=0)
        route[found] = rule.argmax(axis=0)[found]
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
    pairs = sorted(set(zip(rows["spectype"][meant].tolist(), model[meant].tolist(), strict=True)))
    for name, number in pairs:
        chosen = meant & (rows["spectype"] == name) & (model == number)
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


def _reference(name: str, card: ModelCard, classes: tuple[str, ...]) -> ModelReference:
    return ModelReference(name, card.digest, classes, (card.redshift_min, card.redshift_max), card.latents)


def _within(card: ModelCard, earlier: ModelCard) -> bool:
    """Whether all redshifts of ``card`` are among those of ``earlier``."""
    return earlier.redshift_min <= card.redshift_min and card.redshift_max <= earlier.redshift_max


def _shared(wanted: str, first: str, second: str) -> ConfigurationError:
    return ConfigurationError(
        "Two models of the run are for the same spectral class at the same redshifts.",
        where="--model",
        got=f"{first} and {second} are both for {wanted}",
        allowed="one model for each class and redshift",
        remedy="Name one of them, or restrict the run with --classes to classes that they do not share.",
        kind=ErrorKind.CLASS_TWICE,
    )
