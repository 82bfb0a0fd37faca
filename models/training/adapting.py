"""The adapting of a trained model to the spectra of a release: its network stays, its score is fitted anew.

The residual factors learn what is usual in the release and foreign to the network, the rest of the misfit is
the floor below which a residual says nothing, and the calibration says how often ordinary spectra score as
high. The sample holds outliers, too, and they must not teach themselves away:

- The strengths of the residual factors follow a t law, so that no mode serves few spectra.
- What scores higher than the law of ordinary scores allows (``models.calibration.excess``) teaches neither
  the parts nor the names of causes. In rounds: the less outliers teach, the further out they lie.
- The calibration leaves these out, too, but for as many as ordinary spectra reach there, with the scores that
  the law gives them. So the tail is that of the ordinary spectra, not of those below a cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.calibration.excess import find_excess
from models.calibration.quantile_surface import QuantileSurface
from models.errors import ConfigurationError, ErrorKind
from models.scoring.residual_scan import NODE_STEP
from models.scoring.scoring_model import ScoringModel
from models.signal_to_noise import signal_to_noise
from models.training.calibrating import calibrate_on
from models.training.misfit import ModeSettings, fit_residual_factors, fit_rest, raw_parts
from models.training.naming import fit_naming
from models.training.spectra import (
    ChosenSpectra,
    SpectraSource,
    TrainingSplit,
    batch_of,
    chunks,
    in_threads,
)

LEAST = 300
"""Fewest spectra for the parts, and for the calibration: as many as strata of noise and redshift need."""
LEAST_PER_MODE = 10
"""Spectra for each residual factor, without which those of the model are kept."""
MOST_OUTLIERS = 0.05
_CHECKED = 0.25
"""Share of the spectra for the factors that is kept from them, to compare before with after."""
_MOST_CHECKED = 1000
_NAMED = 1200
"""Spectra that teach the names of causes, at most."""
_FREEDOM = 4.0
_MODE_SPECTRA, _MODE_ROUNDS = 6000, 8
_ROUNDS = 3
_AT_ONCE = 64


@dataclass(frozen=True)
class AdaptingSettings:
    """How to adapt.

    Attributes
    ----------
    outliers : largest share of the spectra that is taken for outliers, 0 to ``MOST_OUTLIERS``.
    seed : of everything random.
    threads : spectra are scored by so many at once; the result is the same to the
        last bits only with the same number, as that of a training.
    """

    outliers: float = 0.03
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What adapting changed.

    Attributes
    ----------
    tails_before, tails_after : (m,) tail probabilities of spectra of the release to which nothing was fitted.
    misfit_before, misfit_after : (W, M) standard deviation of the misfit of usual spectra in cells of W
        widths, share of the normalising flux, at rest wavelengths ``log10_rest`` (M,), log10 of Angstrom.
    factors : whether the residual factors were fitted anew.
    left_out : shares taken for outliers, of the spectra for the parts and of those for the calibration.
    counts : number of spectra by what they served.
    """

    tails_before: NDArray[np.floating]
    tails_after: NDArray[np.floating]
    misfit_before: NDArray[np.floating]
    misfit_after: NDArray[np.floating]
    log10_rest: NDArray[np.floating]
    factors: bool
    left_out: tuple[float, float]
    counts: dict[str, int]


OnStep = Callable[[str, int], None]
"""Called where a step begins: its name, and how many spectra take part."""


def adapt(
    model: ScoringModel,
    spectra: TrainingSplit,
    settings: AdaptingSettings,
    on_step: OnStep = lambda *_: None,
) -> Adaptation:
    """Fit to ``spectra`` what makes a score of the network of ``model``, which is changed.

    The training split serves the residual factors, the validation split the parts of the score and the names
    of causes, the calibration split the calibration. The same spectra, model and seed give the same model.

    Raises
    ------
    ConfigurationError : too few spectra.
    """
    _check(spectra)
    torch.set_num_threads(1)
    checked, learnt = _divided(spectra.training)
    on_step("score by the model as it is", len(checked))
    tails_before, misfit_before = _tails(model, checked, settings.threads), _misfit(model)
    modes = model.residual_factors.modes.shape[1]
    factors = len(learnt) >= LEAST_PER_MODE * modes
    if factors:
        on_step("fit the residual factors", len(learnt))
        how = ModeSettings(modes, _MODE_SPECTRA, _MODE_ROUNDS, settings.seed, _FREEDOM)
        torch.set_num_threads(settings.threads)
        fit_residual_factors(model, learnt, how)
        torch.set_num_threads(1)
    on_step("fit the parts of the score", len(spectra.validation))
    usual = _fit_parts(model, spectra.validation, settings)
    on_step("calibrate", len(spectra.calibration))
    kept = _calibrate(model, spectra.calibration, settings)
    named = usual[:: max(1, -(-len(usual) // _NAMED))]
    on_step("name causes", len(named))
    fit_naming(model, ChosenSpectra(spectra.validation, named), settings.seed)
    on_step("score by the adapted model", len(checked))
    tails_after = _tails(model, checked, settings.threads)
    return Adaptation(
        tails_before=tails_before,
        tails_after=tails_after,
        misfit_before=misfit_before,
        misfit_after=_misfit(model),
        log10_rest=model.scan.first_node + NODE_STEP * np.arange(model.scan.log_misfit.shape[1]),
        factors=factors,
        left_out=(1 - len(usual) / len(spectra.validation), 1 - kept / len(spectra.calibration)),
        counts={
            "factors": len(learnt) if factors else 0,
            "parts": len(usual),
            "calibration": kept,
            "checked": len(checked),
        },
    )


def _check(spectra: TrainingSplit) -> None:
    parts, calibration = len(spectra.validation), len(spectra.calibration)
    if min(parts, calibration) >= LEAST:
        return
    # As many in all as give the smaller of the two parts its share.
    needed = -(-LEAST * max(len(spectra), 1) // max(min(parts, calibration), 1))
    raise ConfigurationError(
        "Too few spectra to adapt a model to.",
        got=f"{len(spectra):,}: {parts:,} for the parts of the score, {calibration:,} for the calibration",
        allowed=f"at least {LEAST} for either, about {needed:,} in all",
        remedy="Give more of the release, or use the model as it is.",
        kind=ErrorKind.TOO_FEW_SPECTRA,
    )


def _divided(spectra: SpectraSource) -> tuple[ChosenSpectra, ChosenSpectra]:
    """Spectra to which nothing is fitted, and those for the factors."""
    count = min(int(_CHECKED * len(spectra)), _MOST_CHECKED)
    rows = np.arange(len(spectra))
    return ChosenSpectra(spectra, rows[:count]), ChosenSpectra(spectra, rows[count:])


def _fit_parts(model: ScoringModel, spectra: SpectraSource, settings: AdaptingSettings) -> NDArray[np.int64]:
    """Fit the rest of the misfit and the tails of the parts; returns the rows that are no outliers."""
    fit_rest(model, spectra, settings.threads)
    found = raw_parts(model, spectra, settings.threads)
    whole = found.raw.isfinite().all(dim=1).numpy() & found.depth.isfinite().numpy()
    rows = np.flatnonzero(whole)

    def above(learnt: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scores above the median, of all rows, by the tails of those ``learnt``."""
        model.joint.fit(found.raw[learnt], found.depth[learnt], found.redshift[learnt])
        score = model.joint(found.raw[rows], found.depth[rows], found.redshift[rows]).numpy()
        median = _median(score, found.depth.numpy()[rows], found.redshift.numpy()[rows])
        return np.asarray(score - median)

    # A tail that outliers helped to make gives none of them less than their share of the sample. So what
    # scores highest teaches nothing at first, whatever it is; most of it comes back.
    usual = np.sort(
        rows[np.argsort(above(rows), kind="stable")[: len(rows) - int(settings.outliers * len(rows))]]
    )
    for _ in range(_ROUNDS):
        left = np.delete(rows, find_excess(above(usual), settings.outliers).rows)
        if np.array_equal(left, usual):
            break
        usual = left
    else:
        above(usual)
    return usual


def _calibrate(model: ScoringModel, spectra: SpectraSource, settings: AdaptingSettings) -> int:
    """Calibrate on all but the outliers; returns how many are left."""
    found = _scored(model, spectra, settings.threads)
    known = np.flatnonzero(np.isfinite(found.score) & np.isfinite(found.ratio))
    median = np.full(len(found.score), np.nan)
    median[known] = _median(found.score[known], found.ratio[known], found.redshift[known])
    excess = find_excess((found.score - median)[known], settings.outliers)
    beyond = known[excess.rows]
    # So many ordinary spectra as reach beyond the cut stay there, with the scores that their law gives them.
    standing, gone = beyond[: len(excess.expected)], beyond[len(excess.expected) :]
    score = found.score.copy()
    score[standing] = median[standing] + excess.expected
    calibrated = np.setdiff1d(known, gone)
    usual = np.setdiff1d(known, beyond)
    calibrate_on(
        model, found.latents[usual], score[calibrated], found.ratio[calibrated], found.redshift[calibrated]
    )
    return len(usual)


@dataclass(frozen=True, eq=False)
class _Scored:
    """Latents (n, S), scores, median S/N per pixel and redshifts, (n,), of n spectra."""

    latents: Tensor
    score: NDArray[np.float64]
    ratio: NDArray[np.floating]
    redshift: NDArray[np.float64]


def _scored(model: ScoringModel, spectra: SpectraSource, threads: int) -> _Scored:
    def of(index: NDArray[Any]) -> tuple[Tensor, NDArray[np.float64], NDArray[np.floating], Tensor]:
        flux, ivar, redshift = batch_of(spectra, index)
        outputs = model.outputs(flux, ivar, redshift)
        return outputs.latents, outputs.score.double().numpy(), signal_to_noise(flux, ivar), redshift

    found = in_threads(of, chunks(len(spectra), _AT_ONCE), threads)
    latents, score, ratio, redshift = zip(*found, strict=True)
    return _Scored(
        torch.cat(latents), np.concatenate(score), np.concatenate(ratio), torch.cat(redshift).numpy()
    )


def _tails(model: ScoringModel, spectra: SpectraSource, threads: int) -> NDArray[np.floating]:
    """Tail probabilities, (m,), of the spectra that have one."""
    found = _scored(model, spectra, threads)
    tails = model.tail_probability(found.score, found.ratio, found.redshift)
    return tails[np.isfinite(tails)]


@torch.no_grad()
def _median(
    score: NDArray[np.float64], signal_to_noise: NDArray[np.floating], redshift: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The median of spectra like each, (n,): outliers hardly move it."""
    ratio = np.asarray(signal_to_noise, np.float64)
    surface = QuantileSurface.fit(score, ratio, redshift, 0.5)
    return np.asarray(surface(torch.from_numpy(ratio), torch.from_numpy(redshift)).numpy())


def _misfit(model: ScoringModel) -> NDArray[np.floating]:
    return np.asarray(np.exp(model.scan.log_misfit.detach().numpy()))
