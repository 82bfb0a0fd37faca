"""Comparison of labelled real spectra: order of the groups, repeats, distance from simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from engine.evaluation.labelled_spectra import LabelledSpectra, ScoredSpectra
from engine.evaluation.rates import Estimate, area_under_curve, share
from models.row_status import RowStatus

ORDINARY = "ordinary galaxy"
THRESHOLD = 0.01
SAME_OBJECT = 3.0 / 3600.0
"""Degrees between positions of one object."""
BANDS = ((3800, 4200), (4200, 5500), (5500, 6200), (6200, 7500), (7500, 8400), (8400, 9200))
"""Observed Angstrom."""
_RESAMPLES = 1000
_ALIKE = 20
"""Simulated spectra that are compared with a real one of like signal-to-noise and redshift."""
_NARROW = 25
"""Pixels of the running median that is taken out before noise is measured."""


@dataclass(frozen=True)
class Group:
    """Spectra of one label.

    Attributes
    ----------
    label : of the manifest.
    spectra : their number; ``scored`` of them have a score, ``refused`` says why others do not.
    flagged : of those scored, how many have a tail probability of at most 0.01.
    score, tail : medians.
    above_ordinary : chance that one of them has a higher score than an ordinary galaxy, with the interval
        that holds 95 % of resamples of both; None for fewer than two, and for the ordinary themselves.
    """

    label: str
    spectra: int
    scored: int
    refused: dict[str, int]
    flagged: int
    flagged_share: Estimate
    score: float
    tail: float
    above_ordinary: Estimate | None


@dataclass(frozen=True)
class Repeats:
    """One object observed more than once.

    Attributes
    ----------
    files : of its spectra.
    snr, score, tail : of each.
    scatter : standard deviation of its scores.
    """

    files: tuple[str, ...]
    snr: tuple[float, ...]
    score: tuple[float, ...]
    tail: tuple[float, ...]
    scatter: float


@dataclass(frozen=True)
class Band:
    """Noise and misfit between two observed wavelengths.

    Attributes
    ----------
    low, high : Angstrom.
    real_noise, simulated_noise : robust standard deviation, over sigma, of flux without its running median.
    real_misfit, simulated_misfit : median over spectra of the mean squared residual of the reconstruction.
    """

    low: int
    high: int
    real_noise: float
    simulated_noise: float
    real_misfit: float
    simulated_misfit: float


@dataclass(frozen=True)
class Distance:
    """Ordinary real galaxies against simulated ones.

    Attributes
    ----------
    real, simulated : numbers of spectra.
    apart : chance that a real one has the higher score; 0.5 for populations alike.
    apart_alike : the same against the simulated of like signal-to-noise and redshift.
    bands : by wavelength, against those.
    """

    real: int
    simulated: int
    apart: Estimate
    apart_alike: float
    bands: tuple[Band, ...]


def groups(labelled: LabelledSpectra, scored: ScoredSpectra) -> list[Group]:
    """Every label's group, the ordinary first, then by number."""
    ordinary = scored.score[(labelled.label == ORDINARY) & scored.scored]
    names = [name for name, _ in Counter(labelled.label.tolist()).most_common() if name != ORDINARY]
    return [_group(name, labelled, scored, ordinary) for name in (ORDINARY, *names)]


def repeats(labelled: LabelledSpectra, scored: ScoredSpectra) -> list[Repeats]:
    """Objects with two or more scores, most observations first."""
    rows = labelled.spectra.rows
    where = np.flatnonzero(scored.scored & np.isfinite(rows["ra"]))
    found, left = [], set(where.tolist())
    for first in where.tolist():
        if first not in left:
            continue
        others = np.array(sorted(left))
        east = (rows["ra"][others] - rows["ra"][first]) * np.cos(np.radians(rows["dec"][first]))
        same = others[np.hypot(east, rows["dec"][others] - rows["dec"][first]) < SAME_OBJECT]
        left -= set(same.tolist())
        if len(same) > 1:
            values = scored.score[same]
            found.append(
                Repeats(
                    tuple(str(name) for name in labelled.file[same]),
                    tuple(scored.snr[same].tolist()),
                    tuple(values.tolist()),
                    tuple(scored.tail[same].tolist()),
                    float(values.std(ddof=1)),
                )
            )
    return sorted(found, key=lambda item: -len(item.files))


def distance(real: ScoredSpectra, simulated: ScoredSpectra, wavelength: NDArray[np.float64]) -> Distance:
    """How far ``real`` ordinary spectra are from ``simulated`` ones; those without a score do not count."""
    real, simulated = real.take(real.scored), simulated.take(simulated.scored)
    apart = _apart(real.score, simulated.score)
    alike = [_alike(simulated, snr, z) for snr, z in zip(real.snr, real.redshift, strict=True)]
    chances = [np.mean(score > simulated.score[near]) for score, near in zip(real.score, alike, strict=True)]
    matched = simulated.take(np.concatenate(alike))
    fine_real, fine_matched = _fine(real), _fine(matched)
    bands = []
    for low, high in BANDS:
        inside = (wavelength >= low) & (wavelength < high)
        bands.append(
            Band(
                low,
                high,
                _noise(fine_real[:, inside], real.ivar[:, inside]),
                _noise(fine_matched[:, inside], matched.ivar[:, inside]),
                _misfit(real.residual[:, inside], real.ivar[:, inside]),
                _misfit(matched.residual[:, inside], matched.ivar[:, inside]),
            )
        )
    return Distance(len(real.score), len(simulated.score), apart, float(np.mean(chances)), tuple(bands))


def _group(
    name: str, labelled: LabelledSpectra, scored: ScoredSpectra, ordinary: NDArray[np.float64]
) -> Group:
    here = labelled.label == name
    has = here & scored.scored
    reasons = Counter(RowStatus(code).label for code in scored.status[here & ~scored.scored].tolist())
    flagged = scored.tail[has] <= THRESHOLD
    values = scored.score[has]
    compared = name != ORDINARY and len(values) > 1 and len(ordinary) > 1
    return Group(
        label=name,
        spectra=int(here.sum()),
        scored=int(has.sum()),
        refused=dict(reasons),
        flagged=int(flagged.sum()),
        flagged_share=share(flagged),
        score=float(np.median(values)) if len(values) else float("nan"),
        tail=float(np.median(scored.tail[has])) if len(values) else float("nan"),
        above_ordinary=_apart(values, ordinary) if compared else None,
    )


def _apart(odd: NDArray[np.float64], usual: NDArray[np.float64]) -> Estimate:
    random = np.random.default_rng(0)
    areas = [
        area_under_curve(random.choice(odd, len(odd)), random.choice(usual, len(usual)))
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(areas, (0.025, 0.975))
    return Estimate(area_under_curve(odd, usual), float(low), float(high))


def _alike(simulated: ScoredSpectra, snr: float, redshift: float) -> NDArray[np.int64]:
    apart = np.abs(np.log(np.maximum(simulated.snr, 0.1) / max(snr, 0.1)))
    return np.argsort(apart + 2.0 * np.abs(simulated.redshift - redshift), kind="stable")[:_ALIKE]


def _fine(spectra: ScoredSpectra) -> NDArray[np.float32]:
    smooth = median_filter(spectra.flux, (1, _NARROW))
    return np.asarray((spectra.flux - smooth) * np.sqrt(spectra.ivar))


def _noise(fine: NDArray[np.float32], ivar: NDArray[np.float32]) -> float:
    values = np.abs(fine[ivar > 0])
    return float(np.median(values) / 0.6745) if values.size else float("nan")


def _misfit(residual: NDArray[np.float32], ivar: NDArray[np.float32]) -> float:
    counts = np.count_nonzero(ivar, axis=1)
    total = np.sum(residual.astype(np.float64) ** 2, axis=1)
    return float(np.median(total[counts > 0] / counts[counts > 0])) if np.any(counts) else float("nan")
