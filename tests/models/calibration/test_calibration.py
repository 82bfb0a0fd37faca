"""Tail probabilities: uniform where nothing is odd, in every stratum; finite and told with their doubt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats

from models.calibration.calibration import STRATIFIED_FROM, Calibration, quantiles
from models.errors import ConfigurationError

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
Law = Callable[[np.random.Generator, Floats, Floats], Floats]

LAWS: dict[str, Law] = {
    "normal": lambda rng, snr, _: rng.normal(size=len(snr)),
    "exponential": lambda rng, snr, _: rng.exponential(size=len(snr)),
    "heavy": lambda rng, snr, _: rng.standard_t(4, size=len(snr)),
    "noise and redshift": lambda rng, snr, z: (
        3 * np.log(snr) - 5 * z + (0.5 + np.log1p(snr) / 2) * rng.gumbel(size=len(snr))
    ),
}


def spectra(law: str, count: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Scores, S/N and redshifts of a population."""
    rng = np.random.default_rng(seed)
    snr, redshift = np.exp(rng.normal(1.8, 0.7, count)), rng.uniform(0, 0.6, count)
    return LAWS[law](rng, snr, redshift), snr, redshift


@pytest.mark.parametrize("law", LAWS)
def test_tails_of_held_out_spectra_are_uniform(law: str) -> None:
    """Over many calibration sets: the promise of a tail probability is one about their average."""
    counts, sets, fresh = dict.fromkeys((0.1, 0.01, 0.001), 0), 12, 4000
    body = []
    for seed in range(sets):
        calibration = Calibration.fit(*spectra(law, 1600, seed))
        tail = calibration.tail_probability(*spectra(law, fresh, 1000 + seed))
        body.append(tail[::20])
        for p in counts:
            counts[p] += int((tail <= p).sum())
    assert stats.kstest(np.concatenate(body), "uniform").pvalue > 1e-3
    for p, found in counts.items():
        # Fresh spectra fluctuate, and so do calibration sets: a share p of 1600 is known to 1/sqrt(1600 p).
        doubt = np.sqrt(p * sets * fresh + (p * sets * fresh) ** 2 / (1600 * p * sets))
        assert abs(found - p * sets * fresh) < 3.5 * doubt, (p, found / (sets * fresh))


def test_tails_are_uniform_in_every_stratum() -> None:
    """Where noise moves scores, tails within a band of S/N are uniform, which a plain rank's are not."""
    calibration = Calibration.fit(*spectra("noise and redshift", 2000, 3))
    score, snr, redshift = spectra("noise and redshift", 40_000, 4)
    tail = calibration.tail_probability(score, snr, redshift)
    plain = Calibration.fit(
        score[: STRATIFIED_FROM - 1], snr[: STRATIFIED_FROM - 1], redshift[: STRATIFIED_FROM - 1]
    )
    ranked = plain.tail_probability(score, snr, redshift)
    for low, high in ((0, 3), (3, 6), (6, 12), (12, 100)):
        band = (snr >= low) & (snr < high)
        share = float((tail[band] <= 0.05).mean())
        assert 0.03 < share < 0.075, (low, high, share)
    deep = snr > 12
    assert (ranked[deep] <= 0.05).mean() > 0.1


@pytest.mark.parametrize("law", LAWS)
def test_a_tail_falls_with_the_score_and_never_ends(law: str) -> None:
    calibration = Calibration.fit(*spectra(law, 800, 5))
    score = np.concatenate((np.linspace(-20, 40, 3001), np.geomspace(50, 1e6, 60)))
    tail = calibration.tail(score, np.full(score.shape, 6.0), np.full(score.shape, 0.2))
    # In float64, where no two scores round to one tail.
    depth = calibration(*map(torch.from_numpy, (score, np.full(score.shape, 6.0), np.full(score.shape, 0.2))))
    assert (depth.diff() > 0).all()
    assert ((tail.probability > 0) & (tail.probability <= 1)).all()
    assert np.isfinite(tail.relative_uncertainty).all()
    assert (tail.relative_uncertainty[-60:] >= tail.relative_uncertainty[1500]).all()


@pytest.mark.parametrize(
    ("law", "truth"), [("normal", stats.norm), ("exponential", stats.expon), ("heavy", stats.t(4))]
)
def test_the_stated_uncertainty_covers_the_error(law: str, truth: stats.rv_continuous) -> None:
    """Errors within two deviations: 95 % wanted. Four times beyond the last score a normal law's, which falls
    faster than any Pareto law, is overestimated.
    """
    wanted = np.array([0.3, 0.03, 0.003, 0.0003])
    score = truth.isf(wanted)
    within = np.zeros(4)
    for seed in range(60):
        calibration = Calibration.fit(*spectra(law, 800, seed))
        tail = calibration.tail(score, np.full(4, 6.0), np.full(4, 0.3))
        error = np.abs(np.log(tail.probability / wanted))
        within += error <= 2 * tail.relative_uncertainty
    # 95 % of normal errors; bounds of three binomial deviations and room for a bias that is told of.
    assert (within / 60 > (0.87, 0.87, 0.87, 0.75)).all(), within / 60


def test_few_spectra_give_the_conformal_value() -> None:
    """With sixteen spectra the tail is (1 + number above) / (1 + n) at the scores themselves."""
    rng = np.random.default_rng(1)
    score = np.sort(rng.normal(size=16))
    calibration = Calibration.fit(score, np.exp(rng.normal(size=16)), rng.uniform(0, 1, 16))
    tail = calibration.tail_probability(score, np.full(16, 3.0), np.full(16, 0.1))
    conformal = (16 - np.arange(16)) / 17
    np.testing.assert_allclose(tail[2:9], conformal[2:9], rtol=0.12)


def test_too_few_spectra_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"so few scores(.|\n)*got: 3 finite scores(.|\n)*at least 4"
    ):
        Calibration.fit(np.array([1.0, 2.0, 3.0, np.nan]), np.ones(4), np.ones(4))


def test_what_is_not_finite_has_no_tail() -> None:
    calibration = Calibration.fit(*spectra("normal", 400, 2))
    score, snr, z = np.array([np.nan, 1.0, 1.0, np.inf, 1.0]), np.full(5, 5.0), np.full(5, 0.1)
    snr[1], z[2] = np.nan, np.inf
    tail = calibration.tail(score, snr, z)
    assert np.isnan(tail.probability).tolist() == [True, True, True, True, False]
    assert np.isnan(tail.relative_uncertainty).tolist() == [True, True, True, True, False]


def test_a_calibration_survives_its_tensors() -> None:
    calibration = Calibration.fit(*spectra("noise and redshift", 900, 8))
    again = Calibration()
    again.load_state_dict(calibration.state_dict())
    fresh = spectra("noise and redshift", 200, 9)
    assert np.array_equal(calibration.tail_probability(*fresh), again.tail_probability(*fresh))


def test_gradients_are_finite_and_right() -> None:
    calibration = Calibration.fit(*spectra("noise and redshift", 900, 8))
    score = torch.linspace(-10, 60, 300, dtype=torch.float64, requires_grad=True)
    snr, redshift = torch.full((300,), 5.0), torch.full((300,), 0.2)
    (slope,) = torch.autograd.grad(calibration(score, snr, redshift).sum(), score)
    assert (slope > 0).all()
    step = 1e-6
    with torch.no_grad():
        differences = (
            calibration(score + step, snr, redshift) - calibration(score - step, snr, redshift)
        ) / (2 * step)
    torch.testing.assert_close(slope, differences, rtol=1e-4, atol=1e-7)


def test_quantiles_are_pairs_in_order() -> None:
    pairs = quantiles(np.arange(1001.0))
    assert dict(pairs)[0.5] == 500.0
    assert [s for _, s in pairs] == sorted(s for _, s in pairs)
