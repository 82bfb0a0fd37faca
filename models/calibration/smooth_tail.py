"""Tail probabilities as a smooth function: the sample's ranks in its body, a Pareto law beyond."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.calibration.pareto_tail import ParetoTail
from models.errors import ConfigurationError, ErrorKind

BODY = 33
FAR = 24
LEAST = 4
"""Fewest finite scores a tail can be fitted to."""
_EVEN = 0.1
_TABLES = ("knots", "depth", "slope")
_FARTHEST = 1e-5
"""The last knot's tail, as a share of ``1 / (1 + n)``; beyond it a power law goes on."""


class SmoothTail(nn.Module):
    """Minus the log of the probability that a score of the population is at least as high.

    Strictly increasing with the score, continuous with its slope, positive and finite for every finite
    score. A monotone cubic (Fritsch & Carlson 1980) through ``BODY + FAR`` knots, float64.

    In the body the knots are sample scores with their expected tails ``(1 + #{above}) / (1 + n)``: the
    conformal values, freed from their steps. The highest 1.25 √n scores are described by
    :class:`~models.calibration.pareto_tail.ParetoTail`, which also says how the tail goes on beyond them all.
    (In trials on seven distributions n^(2/3) scores smoothed a kink at a tail of 0.03 away, with 1600.)
    """

    knots: Tensor
    depth: Tensor
    slope: Tensor
    spread: Tensor
    end_shape: Tensor

    def __init__(self) -> None:
        super().__init__()
        # An exponential law until something is fitted or loaded.
        depth = torch.linspace(0.01, 5, BODY + FAR, dtype=torch.float64)
        self.register_buffer("knots", depth.clone())
        self.register_buffer("depth", depth)
        self.register_buffer("slope", torch.ones_like(depth))
        self.register_buffer("spread", torch.ones_like(depth))
        self.register_buffer("end_shape", torch.tensor(0.1, dtype=torch.float64))

    @classmethod
    def fit(cls, sample: NDArray[np.floating]) -> SmoothTail:
        """The tail of a sample (n,) in any order; what is not finite is left out.

        Raises
        ------
        ConfigurationError : fewer than ``LEAST`` finite scores.
        """
        ordered = np.sort(np.asarray(sample, np.float64)[np.isfinite(sample)])
        count = len(ordered)
        if count < LEAST:
            raise ConfigurationError(
                "A tail cannot be fitted to so few scores.",
                where="calibration set",
                got=f"{count} finite scores",
                allowed=f"at least {LEAST}",
                remedy="Give the model a larger calibration set.",
                kind=ErrorKind.CALIBRATION_SMALL,
            )
        above = min(count - 2, round(1.25 * count**0.5))
        knots, depth, spread = _body(ordered, above)
        far = _far(ordered, above, knots[-1])
        knots = np.concatenate([knots, far[0]])
        depth = np.concatenate([depth, far[1]])
        spread = np.concatenate([spread, far[3]])
        slope = np.concatenate([_slopes(knots[:BODY], depth[:BODY], far[4]), far[2]])
        tail = cls()
        tail.knots.copy_(torch.from_numpy(knots))
        tail.depth.copy_(torch.from_numpy(depth))
        tail.slope.copy_(torch.from_numpy(_limited(slope, knots, depth)))
        tail.spread.copy_(torch.from_numpy(spread))
        # How fast the law's mean excess grows where the knots end.
        growth = (1 / far[2][-1] - 1 / far[2][-2]) / (knots[-1] - knots[-2])
        tail.end_shape.fill_(float(np.clip(growth, 0.05, 2.0)))
        return tail

    def forward(self, score: Tensor) -> Tensor:
        """Minus the natural log of the tail of scores of any shape; float64. NaN stays NaN."""
        return minus_log_tails([self], score[..., None])[..., 0]

    def log_spread(self, score: Tensor) -> Tensor:
        """One standard deviation of the log tail at scores of any shape, as the sample's size leaves it."""
        score = score.to(self.knots.dtype)
        place, _, share = _place(self.knots[None], score.reshape(1, -1))
        spread = self.spread[place] + share * (self.spread[place + 1] - self.spread[place])
        # Beyond the knots the spread keeps its share of the depth.
        deeper = torch.clamp_min(self(score) / self.depth[-1], 1)
        return spread.reshape(score.shape) * deeper


def minus_log_tails(tails: Sequence[SmoothTail], score: Tensor) -> Tensor:
    """Minus the natural logs of the tails of scores (..., P), each of its own one of P tails; float64.

    All at once: a tail of its own for each would be many small operations. NaN stays NaN.
    """
    knots, depth, slope = (torch.stack([getattr(tail, name) for tail in tails]) for name in _TABLES)
    end_shape = torch.stack([tail.end_shape for tail in tails])[:, None]
    of_tail = score.to(knots.dtype).reshape(-1, len(tails)).T
    place, width, share = _place(knots, of_tail)
    low = depth.gather(1, place)
    rise = depth.gather(1, place + 1) - low
    first, last = slope.gather(1, place) * width, slope.gather(1, place + 1) * width
    inside = low + share * (first + share * (3 * rise - 2 * first - last + share * (first + last - 2 * rise)))
    beyond = (of_tail - knots[:, -1:]).clamp_min(0)
    inside = inside + torch.log1p(end_shape * slope[:, -1:] * beyond) / end_shape
    # Below the first knot the share of lower scores falls off like one over the distance.
    lower = -torch.expm1(-depth[:, :1])
    fall = slope[:, :1] * (1 - lower) / lower
    before = -torch.log1p(-lower / (1 + fall * (knots[:, :1] - of_tail).clamp_min(0)))
    return torch.where(of_tail < knots[:, :1], before, inside).T.reshape(score.shape)


def _place(knots: Tensor, score: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The interval between knots (P, K), its width, and where in it (0 to 1) scores (P, n) lie, (P, n)."""
    place = torch.searchsorted(knots, score.detach().contiguous()).sub_(1)
    place = place.clamp_(0, knots.shape[1] - 2)
    left = knots.gather(1, place)
    width = knots.gather(1, place + 1) - left
    return place, width, ((score - left) / width).clamp(0, 1)


def _body(
    ordered: NDArray[np.float64], above: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Knots, depths and spreads up to the score that ``above`` scores exceed."""
    count = len(ordered)
    # Evenly where the tail is large, by factors where it is small; between, both.
    first, last = np.log(1 - np.array([1, count - above]) / (count + 1) + _EVEN).tolist()
    tail = np.exp(np.linspace(first, last, BODY)) - _EVEN
    rank = (count + 1) * (1 - tail)
    knots = np.interp(rank, np.arange(1, count + 1), ordered)
    # Equal scores would make a step.
    least = 1e-9 * max(float(np.ptp(ordered)), abs(float(ordered[0])), abs(float(ordered[-1])), 1e-30)
    knots = np.maximum.accumulate(knots - least * np.arange(BODY)) + least * np.arange(BODY)
    return knots, -np.log(tail), np.sqrt((1 - tail) / (tail * (count + 2)))


def _far(
    ordered: NDArray[np.float64], above: int, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Knots, depths, slopes and spreads beyond ``threshold``, and the slope at it."""
    count = len(ordered)
    excesses = ordered[count - above :] - threshold
    usual = max(float(np.mean(excesses)), 1e-12 * abs(threshold), 1e-30)
    law = ParetoTail.fit(np.maximum(excesses, 1e-6 * usual))
    share = (above + 1) / (count + 1)
    log_farthest = np.log(_FARTHEST / (count + 1) / share)
    trial = np.geomspace(*law.span(), 400)
    log_tail = law.evaluate(trial)[0]
    wanted = np.linspace(0, log_farthest, FAR + 1)[1:]
    excess = np.exp(np.interp(-wanted, -log_tail, np.log(trial)))
    log_tail, slope, spread = law.evaluate(excess)
    first = float(law.evaluate(np.array([trial[0] * 1e-3]))[1][0])
    spread = np.hypot(spread, np.sqrt((1 - share) / (above + 1)))
    return threshold + excess, -log_tail - np.log(share), slope, spread, first


def _slopes(knots: NDArray[np.float64], depth: NDArray[np.float64], last: float) -> NDArray[np.float64]:
    """Slopes at the body's knots: harmonic means of the neighbours', ``last`` at the last."""
    width = np.diff(knots)
    secant = np.diff(depth) / width
    left, right = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    between = (left + right) / (left / secant[:-1] + right / secant[1:])
    return np.concatenate([secant[:1], between, [last]])


def _limited(
    slope: NDArray[np.float64], knots: NDArray[np.float64], depth: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Slopes no more than 2.9 times those of the intervals beside them: below 3 the cubic only rises."""
    most = 2.9 * np.diff(depth) / np.diff(knots)
    limited: NDArray[np.float64] = np.minimum(
        slope, np.minimum(np.append(most, np.inf), np.insert(most, 0, np.inf))
    )
    return limited
