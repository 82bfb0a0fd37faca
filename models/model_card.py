"""Model cards: what a scoring model was made from, what it may be used on, how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from models.card_schema import check_card
from models.errors import ConfigurationError, ErrorKind
from models.grid import WavelengthGrid

CARD_VERSION = 3


MIN_WINDOW_PIXELS = 20
"""Fewer good pixels than this in the normalisation window make its median meaningless."""


@dataclass(frozen=True)
class ModelCard:
    """Everything about a scoring model that is not a weight.

    Attributes
    ----------
    name, description : for people.
    kind : which class of model, see ``models.weights``.
    grid : observed-frame wavelength grid of the input.
    classes : spectral classes the model was trained on, e.g. ("GALAXY",).
    redshift_min, redshift_max : range of redshifts it was trained on.
    snr_min, snr_max : range of median signal-to-noise ratios per pixel it was calibrated on.
    normalisation_min, normalisation_max : rest-frame window in Angstrom whose median flux divides
        a spectrum.
    min_good_fraction : least share of good pixels within the instrument's coverage and window.
    rest_start, rest_step, rest_size : decoder's rest-frame grid, log10 of Angstrom.
    architecture : the sizes needed to rebuild the torch modules.
    training : how it was trained: data, counts, epochs, seed.
    metrics : measured on spectra that training did not see.
    calibration_quantiles : (probability, score) pairs of the calibration set, for people; the full
        calibration is in the weights.
    digest : hex digest of weights and card; empty until saved.
    """

    name: str
    description: str
    kind: str
    grid: WavelengthGrid
    classes: tuple[str, ...]
    redshift_min: float
    redshift_max: float
    snr_min: float
    snr_max: float
    normalisation_min: float
    normalisation_max: float
    min_good_fraction: float
    rest_start: float
    rest_step: float
    rest_size: int
    architecture: Mapping[str, Any]
    training: Mapping[str, Any]
    metrics: Mapping[str, float]
    calibration_quantiles: tuple[tuple[float, float], ...]
    digest: str = ""

    @property
    def latents(self) -> int:
        """Number of latents S: those decoded, then the novelty outputs."""
        return int(self.architecture["latents"]) + int(self.architecture["novelty"])

    def with_digest(self, digest: str) -> ModelCard:
        """The same card carrying ``digest``."""
        return replace(self, digest=digest)

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description; :meth:`from_dict` is its inverse."""
        card: dict[str, object] = {field.name: getattr(self, field.name) for field in fields(self)}
        card["card_version"] = CARD_VERSION
        card["grid"] = self.grid.to_dict()
        card["classes"] = list(self.classes)
        card["architecture"] = dict(self.architecture)
        card["training"] = dict(self.training)
        card["metrics"] = dict(self.metrics)
        card["calibration_quantiles"] = [list(pair) for pair in self.calibration_quantiles]
        return card

    @classmethod
    def from_dict(cls, description: Mapping[str, Any], where: str) -> ModelCard:
        """The card that :meth:`to_dict` described; ``where`` names its file in errors.

        Raises
        ------
        ConfigurationError : another card version, or entries missing, or one that cannot be.
        """
        version = description.get("card_version")
        if version != CARD_VERSION:
            raise ConfigurationError(
                "The model card has another version than this code reads.",
                where=where,
                got=version,
                allowed=CARD_VERSION,
                remedy="Train the model anew, or use the whyspec version that wrote it.",
                kind=ErrorKind.CARD_VERSION,
            )
        missing = [field.name for field in fields(cls) if field.name not in description]
        if missing:
            raise ConfigurationError(
                "The model card is incomplete.",
                where=where,
                got=f"no {', '.join(missing)}",
                remedy="Take the card anew from where the model was made.",
                kind=ErrorKind.CARD_INCOMPLETE,
            )
        check_card(description, where)
        values = {field.name: description[field.name] for field in fields(cls)}
        values["grid"] = WavelengthGrid.from_dict(description["grid"])
        values["classes"] = tuple(description["classes"])
        values["calibration_quantiles"] = tuple(
            (float(p), float(s)) for p, s in values["calibration_quantiles"]
        )
        return cls(**values)
