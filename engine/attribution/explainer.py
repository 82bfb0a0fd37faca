"""Explaining: selected spectra, one after the other, by inverse multiscale occlusion."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.explanations import Explanations
from engine.attribution.nearest_baselines import nearest_calibration
from engine.attribution.occlusion.attribution import Attribution, attribute
from engine.attribution.occlusion.combine import PRESETS
from engine.attribution.occlusion.memory import memory_for
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.seams import occluder_of
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.signature_criteria import SignatureCriteria
from engine.spectra.scored_spectra import SelectedSpectra
from engine.spectra.scorer import as_float32, device_tensor
from models.errors import QuarantineError
from models.spectrum_model import SpectrumModel


class Explainer:
    """A scoring model on a device with the settings of the occlusion.

    The model is copied in float64: single skips spectrum and baselines cost little, and what
    occlusion subtracts should be exact.

    Parameters
    ----------
    model : the scoring model.
    settings : of the occlusion.
    device : torch device.
    memory_bytes : what the occlusion of one spectrum may take; 0 for what suits the device.
    """

    def __init__(
        self, model: SpectrumModel, settings: OcclusionSettings, device: str = "cpu", memory_bytes: int = 0
    ) -> None:
        self._model = copy.deepcopy(model).to(device).double()
        self._settings = settings
        self._device = torch.device(device)
        self._memory_bytes = memory_for(self._device, memory_bytes)
        self._wavelength = model.card.grid.wavelength()
        self._criteria = SignatureCriteria(model.card, settings)

    def explain(self, selected: SelectedSpectra) -> Explanations:
        """Explain spectra as they were scored.

        A spectrum for which the model gives no finite density has NaN throughout, window 0 and no signature.
        """
        explanations = Explanations.unknown(selected, len(self._settings.windows))
        self.fill(explanations, range(len(selected)))
        return explanations

    def fill(self, explanations: Explanations, rows: Iterable[int]) -> None:
        """Explain these rows of ``explanations``, see :meth:`explain`."""
        selected = explanations.selected
        for row in rows:
            try:
                baseline, result = self._explain_one(selected, row)
            except QuarantineError:
                continue
            explanations.baseline[row] = baseline
            explanations.maps[row] = result.maps
            explanations.spread[row] = result.spread
            explanations.combined[row] = result.combined
            explanations.log_prob[row] = result.log_prob_spectrum
            explanations.baseline_log_prob[row] = result.log_prob_baselines.mean()
            if result.peak_pixel >= 0:
                explanations.peak_wavelength[row] = self._wavelength[result.peak_pixel]
                explanations.peak_window[row] = result.peak_window
            explanations.signatures[row] = self._criteria.signatures(
                result, selected.flux[row], selected.ivar[row], float(selected.redshift[row])
            )

    def _explain_one(self, selected: SelectedSpectra, row: int) -> tuple[NDArray[np.float32], Attribution]:
        """Mean baseline (N,) and attribution of one spectrum."""
        settings = self._settings
        redshift = float(selected.redshift[row])
        flux = device_tensor(selected.flux[row], self._device)
        ivar = device_tensor(selected.ivar[row], self._device)
        with torch.inference_mode():
            baselines = self._model.baselines(redshift, self._chosen(flux, ivar, redshift))
            score = self._model.conditioned(ivar.double(), redshift)
            request = OcclusionRequest(flux, baselines.to(flux.dtype), ivar > 0)
            occluder = occluder_of(score, self._memory_bytes, self._model.floats_per_pixel)
            result = attribute(occluder, lambda spectra: score(spectra.double()), request, settings)
            return as_float32(baselines.mean(dim=0)), result

    def _chosen(self, flux: torch.Tensor, ivar: torch.Tensor, redshift: float) -> NDArray[np.int64]:
        """The calibration spectra whose reconstructions are the baselines."""
        settings = self._settings
        if PRESETS[settings.preset].baselines == "nearest":
            return nearest_calibration(self._model, flux, ivar, redshift, settings.baselines)
        return settings.draw(self._model.calibration_size)
