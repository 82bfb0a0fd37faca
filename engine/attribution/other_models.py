"""Other models of a run: whether one of them finds usual what a spectrum's own model finds odd."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from models.causes.estimate import UsualElsewhere
from models.causes.names import ANOTHER_CLASS, WRONG_REDSHIFT
from models.spectrum_model import SpectrumModel

_USUAL = 0.02
"""Tail probability from which on a spectrum is usual to another model."""


class OtherModels:
    """The models of a run as each other's judges, in the order of its configuration."""

    def __init__(self, models: Sequence[SpectrumModel]) -> None:
        self._models = tuple(models)

    def usual_elsewhere(
        self, flux: Tensor, ivar: Tensor, own: int, tail: float, own_misfit: float
    ) -> UsualElsewhere | None:
        """The other model to which a spectrum, flux (N,) and ivar (N,), is most usual.

        None where none can score it and draws it better. Tail probabilities compare between models: each is
        a share of the usual spectra of its class. So much of the oddity is due to the class as the tail
        grows. That several models and redshifts were tried counts against it, and so does a tail that is
        small there, too. A model whose reconstruction fits worse is no better one, as it may be used to worse
        fits: it is not asked.

        Parameters
        ----------
        own : place of the model that scored the spectrum; tail : its tail probability there.
        own_misfit : chi-square of its reconstruction, see :func:`models.scoring.better_redshift.misfit`.
        """
        best: UsualElsewhere | None = None
        others = len(self._models) - 1
        for number, model in enumerate(self._models):
            if number == own:
                continue
            found = model.usual_redshift(flux.float(), ivar.float(), own_misfit)
            if found is None:
                continue
            there = found.tail_probability / (found.trials * others)
            gain = max(math.log(there / tail), 0.0) if there > 0 < tail else 0.0
            probability = -math.expm1(-gain) * min(found.tail_probability / _USUAL, 1.0)
            if best is None or probability > best.probability:
                same = set(model.card.classes) & set(self._models[own].card.classes)
                cause = WRONG_REDSHIFT if same else ANOTHER_CLASS
                name = ", ".join(model.card.classes) or "any"
                best = UsualElsewhere(cause, name, found.redshift, found.error, probability)
        return best
