"""Configuration of a store: everything that decides the values in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.attribution.method import MethodSettings
from engine.attribution.methods import METHODS
from engine.store.blocks import BlockKind
from engine.store.routing import ModelReference
from models.digests import canonical_json, digest_of
from models.errors import ConfigurationError, ErrorKind
from models.grid import WavelengthGrid

_OWN = ("targets", "redshifts", "own_class")
"""What few stores have."""

MOST_ROWS = 2**24
"""Rows of a block: it is held in memory as a whole."""


@dataclass(frozen=True)
class RunConfiguration:
    """Models, selection, attribution and geometry of a store. Two runs with equal digests may share it.

    Attributes
    ----------
    models : the scoring models with the classes that each scores, see :mod:`engine.store.routing`; a row
        names its model by the place in here.
    grid : the wavelength grid of models and store.
    reconstruction_scores : names of the reconstruction scores, in order.
    threshold : tail probability at or below which a spectrum is an outlier, in (0, 1].
    attribution : settings of the method that explains.
    block_rows, outlier_block_rows : spectra per score block, explanations per attribution block.
    targets, redshifts : digest of the user's list of targets, and of the user's table of redshifts; empty
        where there is none. own_class : class that the user gives all spectra; empty for the pipeline's.
    """

    models: tuple[ModelReference, ...]
    grid: WavelengthGrid
    reconstruction_scores: tuple[str, ...]
    threshold: float
    attribution: MethodSettings
    block_rows: int
    outlier_block_rows: int
    targets: str = ""
    redshifts: str = ""
    own_class: str = ""

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold <= 1.0:
            raise ConfigurationError(
                "The threshold is not a tail probability.",
                where="--threshold",
                got=self.threshold,
                allowed="greater than 0, at most 1",
                remedy="0.01 selects about one spectrum in a hundred; smaller selects fewer.",
                kind=ErrorKind.THRESHOLD,
            )
        for name in ("block_rows", "outlier_block_rows"):
            if not 1 <= getattr(self, name) <= MOST_ROWS:
                raise ConfigurationError(
                    "A block cannot hold so many rows.",
                    where=name,
                    got=getattr(self, name),
                    allowed=f"1 to {MOST_ROWS:,}",
                    remedy="Leave it out: whyspec then chooses it from the release's size.",
                    kind=ErrorKind.BLOCK_ROWS,
                )

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description; :meth:`from_dict` is its inverse."""
        return {
            "models": [model.to_dict() for model in self.models],
            "grid": self.grid.to_dict(),
            "reconstruction_scores": list(self.reconstruction_scores),
            "threshold": self.threshold,
            self.attribution.method: self.attribution.to_dict(),
            "block_rows": self.block_rows,
            "outlier_block_rows": self.outlier_block_rows,
            **{name: getattr(self, name) for name in _OWN if getattr(self, name)},
        }

    @classmethod
    def from_dict(cls, description: dict[str, object]) -> RunConfiguration:
        """The configuration that :meth:`to_dict` described."""
        value: dict[str, Any] = dict(description)
        (method,) = (method for name, method in METHODS.items() if name in value)
        return cls(
            models=tuple(ModelReference.from_dict(model) for model in value["models"]),
            grid=WavelengthGrid.from_dict(value["grid"]),
            reconstruction_scores=tuple(value["reconstruction_scores"]),
            threshold=float(value["threshold"]),
            attribution=method.settings.from_dict(value[method.name]),
            block_rows=int(value["block_rows"]),
            outlier_block_rows=int(value["outlier_block_rows"]),
            **{name: str(value.get(name, "")) for name in _OWN},
        )

    def rows_per_block(self, kind: BlockKind) -> int:
        """Rows of a block of a kind, padding included."""
        return self.block_rows if kind == "score" else self.outlier_block_rows

    @property
    def latents(self) -> int:
        """Number of latents kept for a row: those of the model that has most."""
        return max(model.latents for model in self.models)

    @property
    def digest(self) -> str:
        """Hex digest of everything above."""
        return digest_of(canonical_json(self.to_dict()))

    def differences(self, other: RunConfiguration) -> list[str]:
        """``name: ours, theirs`` for every entry in which two configurations differ."""
        ours, theirs = self._for_people(), other._for_people()
        # Each method has an entry of its own name, which the other need not have.
        names = dict.fromkeys((*ours, *theirs))
        differing = [name for name in names if ours.get(name) != theirs.get(name)]
        return [
            f"{name}: {ours.get(name, 'none')} here, {theirs.get(name, 'none')} there" for name in differing
        ]

    def _for_people(self) -> dict[str, object]:
        own = {name: getattr(self, name) or "none" for name in _OWN}
        return {**self.to_dict(), **own, "models": "; ".join(map(str, self.models))}
