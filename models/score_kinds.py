"""Score kinds: names and properties of the reconstruction scores, see :mod:`models.reconstruction_scores`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from models.errors import ConfigurationError, ErrorKind

Form = Literal["published", "ivar"]
Statistic = Literal["mse", "chi2"]
Pixels = Literal["all", "nolines"]


@dataclass(frozen=True, slots=True)
class ScoreKind:
    """One of the 16 scores; its name is e.g. ``published_mse_all_100`` or ``ivar_chi2_nolines_97``."""

    form: Form
    statistic: Statistic
    pixels: Pixels
    percent: Literal[100, 97]

    @property
    def name(self) -> str:
        """The score's column."""
        return f"{self.form}_{self.statistic}_{self.pixels}_{self.percent}"

    @classmethod
    def named(cls, name: str) -> ScoreKind:
        """The score of that name.

        Raises
        ------
        ConfigurationError : there is none.
        """
        for kind in KINDS:
            if kind.name == name:
                return kind
        raise ConfigurationError(
            "There is no reconstruction score of that name.",
            got=name,
            allowed=", ".join(RECONSTRUCTION_SCORES),
            remedy="ivar_chi2_all_100 is the usual one.",
            kind=ErrorKind.RECONSTRUCTION_SCORE,
        )


KINDS: tuple[ScoreKind, ...] = tuple(
    ScoreKind(form, statistic, pixels, 100 if percent == 100 else 97)
    for form, pixels, percent, statistic in product(
        get_args(Form), get_args(Pixels), (100, 97), get_args(Statistic)
    )
)
RECONSTRUCTION_SCORES: tuple[str, ...] = tuple(kind.name for kind in KINDS)
"""Names of the 16 columns, in order."""
