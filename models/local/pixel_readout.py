"""Readouts: from pooled features and features linear in flux to minus the score.

A pooling sees activations only. A residual needs the flux itself and its reconstruction from the pooled
features. Features that are sums over pixels follow for any pasted window from running sums.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.local.differences import Terms

FeaturesOf = Callable[[int, int], tuple[Tensor, ...]]
"""From the first of some windows and the one after the last to the changes of their features, (M, k, …) for
every table that :meth:`PixelReadout.running` makes."""


class PixelReadout(nn.Module, ABC):
    """From the head's outputs and J features linear in flux to minus the score.

    Pixels of weight zero have no influence whatever they hold.
    """

    @property
    @abstractmethod
    def features(self) -> int:
        """Number of features J."""

    @abstractmethod
    def running(self, flux: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Features of the flux before every pixel and after the last, (M, N) float64 to (M, N + 1, …) tables.

        Those of pixels i to j are row j less row i: a table is of type ``dtype`` if that keeps what short
        windows need, else in float64.
        """

    @abstractmethod
    def of_flux(self, flux: Tensor) -> Tensor:
        """Features of whole spectra, (B, N) to (B, J)."""

    @abstractmethod
    def forward(self, outputs: Tensor, features: Tensor) -> Tensor:
        """Minus the score, of outputs (B, F) and features (B, J), (B,)."""

    @abstractmethod
    def rule(self) -> ReadoutRule:
        """The same in differences, with parameters as they are now."""


class ReadoutRule(ABC):
    """How minus the score changes with both; see :class:`models.local.differences.Difference`."""

    @property
    @abstractmethod
    def multiply_adds(self) -> int:
        """Multiply-adds of matrix products in :meth:`change`, for one window."""

    @abstractmethod
    def terms(self, outputs: Tensor, features: Tensor, dtype: torch.dtype) -> Terms:
        """What :meth:`change` needs of outputs (M, 1, F) and features (M, 1, J), both float64."""

    @abstractmethod
    def change(self, outputs: Tensor, features: FeaturesOf, terms: Terms) -> Tensor:
        """Change of minus the score (M, n), for changes of outputs (M, n, F) and features (M, n, J).

        Features are many: an implementation asks for some windows at a time, and may overwrite them.
        """
