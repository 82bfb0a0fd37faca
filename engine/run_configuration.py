"""What a store is bound to: everything that decides the values in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from engine.occlusion.settings import OcclusionSettings
from models.errors import ConfigurationError
from models.grid import WavelengthGrid


@dataclass(frozen=True)
class RunConfiguration:
    """Model, selection, occlusion and geometry of a store. Two runs with equal digests may share it.

    Attributes
    ----------
    model : name of the scoring model; model_digest : digest of its weights and card.
    grid : the wavelength grid of model and store.
    latents : number of latents.
    reconstruction_scores : names of the reconstruction scores, in order.
    classes : spectral classes that are scored, e.g. ("GALAXY",); empty means all.
    threshold : tail probability at or below which a spectrum is an outlier, in (0, 1].
    occlusion : preset, windows, baselines, seed.
    block_rows, outlier_block_rows : spectra per score block, explanations per attribution block.
    """

    model: str
    model_digest: str
    grid: WavelengthGrid
    latents: int
    reconstruction_scores: tuple[str, ...]
    classes: tuple[str, ...]
    threshold: float
    occlusion: OcclusionSettings
    block_rows: int
    outlier_block_rows: int

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold <= 1.0:
            raise ConfigurationError(
                "The threshold is not a tail probability.",
                where="--threshold",
                got=self.threshold,
                allowed="greater than 0, at most 1",
                remedy="0.01 selects about one spectrum in a hundred; smaller selects fewer.",
                kind="threshold",
            )
        for name in ("block_rows", "outlier_block_rows"):
            if getattr(self, name) < 1:
                raise ConfigurationError(
                    "A block must hold at least one row.",
                    where=name,
                    got=getattr(self, name),
                    allowed="1 or more",
                    remedy="Leave it out to have it chosen from the release's size.",
                    kind="block-rows",
                )

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description; :meth:`from_dict` is its inverse."""
        return {
            "model": self.model,
            "model_digest": self.model_digest,
            "grid": self.grid.to_dict(),
            "latents": self.latents,
            "reconstruction_scores": list(self.reconstruction_scores),
            "classes": list(self.classes),
            "threshold": self.threshold,
            "occlusion": self.occlusion.to_dict(),
            "block_rows": self.block_rows,
            "outlier_block_rows": self.outlier_block_rows,
        }

    @classmethod
    def from_dict(cls, description: dict[str, object]) -> RunConfiguration:
        """The configuration that :meth:`to_dict` described."""
        value: dict[str, Any] = dict(description)
        return cls(
            model=str(value["model"]),
            model_digest=str(value["model_digest"]),
            grid=WavelengthGrid.from_dict(value["grid"]),
            latents=int(value["latents"]),
            reconstruction_scores=tuple(value["reconstruction_scores"]),
            classes=tuple(value["classes"]),
            threshold=float(value["threshold"]),
            occlusion=OcclusionSettings.from_dict(value["occlusion"]),
            block_rows=int(value["block_rows"]),
            outlier_block_rows=int(value["outlier_block_rows"]),
        )

    @property
    def digest(self) -> str:
        """Hex digest of everything above."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def differences(self, other: RunConfiguration) -> list[str]:
        """``name: ours, theirs`` for every entry in which two configurations differ."""
        ours, theirs = self.to_dict(), other.to_dict()
        differing = [name for name in ours if ours[name] != theirs[name]]
        return [f"{name}: {ours[name]} here, {theirs[name]} there" for name in differing]
