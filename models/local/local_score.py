"""Local scores: local layers, one additive pooling, a head and sums of pixels, as exact occlusion needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from models.local.additive_pooling import AdditivePooling
from models.local.local_layers import check_local
from models.local.pixel_readout import PixelReadout


class LocalScore(nn.Module):
    """A function of flux, (B, N) to (B,), made of parts that occlusion can take apart.

    The model's other inputs (inverse variance, redshift) are fixed: all occlusions of a spectrum share them.

    Parameters
    ----------
    lift : (B, N) flux to (B, C, N), each pixel by itself; constants per pixel are allowed.
    layers : local layers in order, see :mod:`models.local.local_layers`.
    pooling : sums over positions, (B, C, P) to (B, F).
    head : modules in order, (B, F) to (B,): minus the score. A module that
        has a ``difference`` rule keeps small differences exact in float32; others are evaluated in
        float64.
    readout : what makes minus the score of the head's outputs, (B, F') then, and of features linear in flux;
        None if the head's output is it.

    Raises
    ------
    ConfigurationError : a layer is not local; says which and why.
    """

    def __init__(
        self,
        lift: Callable[[Tensor], Tensor],
        layers: Sequence[nn.Module],
        pooling: AdditivePooling,
        head: Sequence[nn.Module],
        readout: PixelReadout | None = None,
    ) -> None:
        super().__init__()
        check_local(layers, "LocalScore")
        self.lift = lift
        self.layers = nn.ModuleList(layers)
        self.pooling = pooling
        self.head = nn.ModuleList(head)
        self.readout = readout

    def forward(self, flux: Tensor) -> Tensor:
        """(B, N) to (B,)."""
        hidden = self.lift(flux)
        for layer in self.layers:
            hidden = layer(hidden)
        outputs: Tensor = self.pooling(hidden)
        for module in self.head:
            outputs = module(outputs)
        if self.readout is not None:
            outputs = self.readout(outputs, self.readout.of_flux(flux))
        return outputs
