"""Games as spectra: every pixel is a segment, 1 where it is on and 0 where it is off."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.subject import Subject

OFF: dict[str, Any] = {"width": 1, "replacement": "flat", "amount": 0.0, "white_noise": 0.0}
"""Settings of such a game."""


class Nothing:
    """A decoder that draws flat spectra."""

    calibration_size = 10

    def baselines(self, chosen: NDArray[np.int64]) -> torch.Tensor:
        raise AssertionError(chosen)

    def reconstructions(self, spectra: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(spectra)


class Polynomial:
    """A score: a sum over sets of pixels of a coefficient times the product of their flux."""

    def __init__(self, players: int, terms: dict[tuple[int, ...], float]) -> None:
        self.players, self.terms = players, terms

    def __call__(self, spectra: torch.Tensor) -> torch.Tensor:
        """Minus the score."""
        total = torch.zeros(len(spectra), dtype=torch.float64)
        for inside, coefficient in self.terms.items():
            total += coefficient * spectra[:, list(inside)].prod(dim=1)
        return -total

    def shapley(self) -> NDArray[np.float64]:
        """Each term is shared evenly among its pixels."""
        return self._shared(lambda size: 1 / size)

    def banzhaf(self) -> NDArray[np.float64]:
        """Each pixel has a term whenever all others of it are on, half the time each."""
        return self._shared(lambda size: 0.5 ** (size - 1))

    def _shared(self, share: Any) -> NDArray[np.float64]:
        found = np.zeros(self.players)
        for inside, coefficient in self.terms.items():
            found[list(inside)] += coefficient * share(len(inside))
        return found


def game_subject(score: Any, players: int, **more: Any) -> Subject:
    """A spectrum of ones whose pixels are the players."""
    flux, ivar = torch.ones(players), torch.ones(players, dtype=torch.float64)
    return Subject(flux, ivar, 0.1, score, Nothing(), **more)


def drawn(players: int, sizes: tuple[int, ...], seed: int = 0, each: int = 12) -> Polynomial:
    """A polynomial with terms of these sizes and random coefficients."""
    random = np.random.default_rng(seed)
    terms: dict[tuple[int, ...], float] = {}
    for size in sizes:
        for _ in range(each):
            inside = tuple(sorted(random.choice(players, size, replace=False).tolist()))
            terms[inside] = float(random.normal())
    return Polynomial(players, terms)
