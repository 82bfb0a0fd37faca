"""Explaining: selected spectra, one after the other, by inverse multiscale occlusion."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from engine.occlusion.attribution import Attribution, attribute
from engine.occlusion.dense import DenseOccluder
from engine.occlusion.request import OcclusionRequest
from engine.occlusion.settings import OcclusionSettings
from engine.scored_spectra import Explanations, SelectedSpectra
from engine.scorer import as_float32, device_tensor
from models.errors import QuarantineError
from models.scoring_model import ScoringModel


class Explainer:
    """A scoring model on a device with the settings of the occlusion."""

    def __init__(self, model: ScoringModel, settings: OcclusionSettings, device: str = "cpu") -> None:
        self._model = model.to(device)
        self._settings = settings
        self._device = torch.device(device)
        self._wavelength = model.card.grid.wavelength()

    def explain(self, selected: SelectedSpectra) -> Explanations:
        """Explain spectra as they were scored.

        A spectrum for which the model gives no finite density has NaN throughout, and window 0.
        """
        count, windows, pixels = len(selected), len(self._settings.windows), len(self._wavelength)
        explanations = Explanations(
            selected=selected,
            baseline=_unknown(count, pixels),
            maps=_unknown(count, windows, pixels),
            spread=_unknown(count, windows, pixels),
            combined=_unknown(count, pixels),
            log_prob=_unknown(count),
            baseline_log_prob=_unknown(count),
            peak_wavelength=np.full(count, np.nan, dtype=np.float64),
            peak_window=np.zeros(count, dtype=np.int32),
        )
        for row in range(count):
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
        return explanations

    def _explain_one(self, selected: SelectedSpectra, row: int) -> tuple[NDArray[np.float32], Attribution]:
        """Mean baseline (N,) and attribution of one spectrum."""
        settings = self._settings
        redshift = float(selected.redshift[row])
        flux = device_tensor(selected.flux[row], self._device)
        ivar = device_tensor(selected.ivar[row], self._device)
        with torch.inference_mode():
            baselines = self._model.baselines(redshift, settings.draw(self._model.calibration_size))
            log_prob = self._model.conditioned(ivar, redshift)
            occluder = DenseOccluder(log_prob, settings.memory_bytes, self._model.floats_per_pixel)
            result = attribute(occluder, log_prob, OcclusionRequest(flux, baselines, ivar > 0), settings)
            return as_float32(baselines.double().mean(dim=0)), result


def _unknown(*shape: int) -> NDArray[np.float32]:
    return np.full(shape, np.nan, dtype=np.float32)
