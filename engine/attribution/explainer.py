"""Explainer: selected spectra, one after the other, by the method that a run has chosen."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.attribution.cause import NO_CAUSE, Cause, cause_of
from engine.attribution.caution_criteria import CautionCriteria
from engine.attribution.explanation import Explanations
from engine.attribution.memory import memory_for
from engine.attribution.method import MethodSettings
from engine.attribution.methods import method_of
from engine.attribution.other_models import OtherModels
from engine.attribution.places import places_of
from engine.attribution.subject import Subject, subject_of
from engine.spectra.scored_spectra import SelectedSpectra
from models.causes.estimate import Estimate, Measurement, UsualElsewhere
from models.causes.names import ANOTHER_CLASS, WRONG_REDSHIFT
from models.causes.quantities import REDSHIFT
from models.errors import QuarantineError
from models.scoring.better_redshift import misfit
from models.signal_to_noise import signal_to_noise
from models.spectrum_model import SpectrumModel


class Explainer:
    """A scoring model on a device, with a method of attribution.

    The model is copied in float64: single passes over spectrum and baselines cost little, and what a method
    subtracts should be exact.

    Parameters
    ----------
    model : the scoring model.
    settings : of the method.
    device : torch device.
    memory_bytes : what the attribution of one spectrum may take; 0 for what suits the device.
    others : the models of the run, this one among them, on the device.
    """

    def __init__(
        self,
        model: SpectrumModel,
        settings: MethodSettings,
        device: str = "cpu",
        memory_bytes: int = 0,
        others: OtherModels | None = None,
    ) -> None:
        self._model = copy.deepcopy(model).to(device).double()
        self._settings = settings
        self._method = method_of(settings)
        self._device = torch.device(device)
        self._memory_bytes = memory_for(self._device, memory_bytes)
        self._criteria = CautionCriteria(model.card)
        self._others = others

    def explain(
        self,
        selected: SelectedSpectra,
        key: NDArray[Any] | None = None,
        target_id: NDArray[np.int64] | None = None,
    ) -> Explanations:
        """Explain spectra as they were scored, with (n,) keys and TARGETIDs if they are known.

        A spectrum for which the model gives no finite density has NaN throughout, no place and no caution.
        """
        scales, units = self._method.scales(self._settings), self._method.units(self._settings)
        explanations = Explanations.unexplained(
            selected, self._model.card.grid, scales, units, key, target_id
        )
        self.fill(explanations, range(len(selected)))
        return explanations

    def fill(self, explanations: Explanations, rows: Iterable[int]) -> None:
        """Explain these rows of ``explanations``, see :meth:`explain`."""
        for row in rows:
            flux, ivar = explanations.flux[row], explanations.ivar[row]
            redshift = float(explanations.redshift[row])
            try:
                subject = subject_of(
                    self._model,
                    flux,
                    ivar,
                    redshift,
                    device=self._device,
                    memory_bytes=self._memory_bytes,
                )
                found = self._method.attribute(subject, self._settings)
                reconstruction = subject.reconstruction.cpu().numpy()
                places = places_of(found, flux - reconstruction, ivar, explanations.grid, redshift)
                cautions = self._criteria.cautions(found, flux, ivar, redshift)
                cause, measurement = self._cause(subject, int(explanations.model[row]))
            except QuarantineError:
                continue
            explanations.fill(row, found, cause, measurement, reconstruction, places, cautions)

    def _cause(self, subject: Subject, own: int) -> tuple[Cause, Measurement]:
        flux, ivar = subject.flux.double(), subject.ivar
        redshift = torch.tensor([subject.redshift], dtype=torch.float64, device=self._device)
        with torch.no_grad():
            probabilities = self._model.cause_probabilities(flux[None], ivar[None], redshift)
            if probabilities is None:
                return NO_CAUSE, Measurement()
            better = self._model.better_redshift(flux, ivar, subject.redshift)
            elsewhere = self._elsewhere(flux, ivar, redshift, own)
            cause = cause_of(probabilities[0].cpu().numpy(), better, elsewhere)
            measurement = self._model.measurement(flux, ivar, subject.redshift, cause.name)
        found = better if not cause.other_class else elsewhere
        if found and cause.name in (WRONG_REDSHIFT, ANOTHER_CLASS):
            of_redshift = Estimate(REDSHIFT, found.redshift, found.error)
            measurement = replace(measurement, estimates=(of_redshift,))
        return cause, measurement

    def _elsewhere(self, flux: Tensor, ivar: Tensor, redshift: Tensor, own: int) -> UsualElsewhere | None:
        if self._others is None:
            return None
        outputs = self._model.outputs(flux[None], ivar[None], redshift)
        score, ratio = outputs.score.cpu().numpy(), signal_to_noise(flux[None], ivar[None])
        tail = float(self._model.tail_probability(score, ratio, redshift.cpu().numpy())[0])
        own_misfit = float(misfit(flux[None], ivar[None], outputs.reconstruction))
        return self._others.usual_elsewhere(flux, ivar, own, tail, own_misfit)
