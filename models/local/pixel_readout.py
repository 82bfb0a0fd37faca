"""Readouts: from pooled features and features linear in flux to minus the score.

A pooling sees activations only. A residual needs the flux itself and its reconstruction from the pooled
features. Features that are sums over pixels follow for any pasted window from running sums.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.local.differences import Terms


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows and the flux in them.

    Attributes
    ----------
    tables : of the flux, see :meth:`PixelReadout.tables`.
    start, stop : (n,), their first pixels and those after their last.
    """

    tables: tuple[Tensor, ...]
    start: Tensor
    stop: Tensor

    def part(self, chosen: slice) -> Windows:
        """Some of the windows."""
        return replace(self, start=self.start[chosen], stop=self.stop[chosen])


class PixelReadout(nn.Module, ABC):
    """From the head's outputs and J features linear in flux to minus the score.

    Pixels of weight zero have no influence whatever they hold.
    """

    @property
    @abstractmethod
    def features(self) -> int:
        """Number of features J."""

    @abstractmethod
    def tables(self, flux: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """What the features of any window are made from, for flux (M, N) float64.

        A table is of type ``dtype`` if that keeps what short windows need, else in float64.
        """

    @abstractmethod
    def table_bytes(self, pixels: int, size: int) -> tuple[int, int]:
        """Bytes that making and holding the tables takes for so many pixels, ``size`` bytes being a number of
        type ``dtype``: what all spectra share, and what each one takes.
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
    def change(self, outputs: Tensor, windows: Windows, terms: Terms) -> Tensor:
        """Change of minus the score (M, n), for changes of outputs (M, n, F) and the flux of n windows."""
