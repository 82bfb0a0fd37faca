"""Score module: the score of a spectrum as a torch module of its flux, for attribution methods of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy, nn, no_grad

from engine.attribution.subject import Subject


class ScoreModule(nn.Module):
    """The score as a function of flux alone, (B, N) to (B,): the higher the odder, in nat.

    Inverse variance and redshift are those of one spectrum, which is :attr:`flux`. It has gradients. Flux is
    on the model's N pixels, divided by the spectrum's normalisation. Masked pixels have no influence. What
    explanations of whyspec are made from is this function, in double precision.

    Attributes
    ----------
    flux : (1, N) float64, the spectrum.
    wavelength : (N,) Angstrom, vacuum.
    """

    def __init__(self, subject: Subject, wavelength: NDArray[np.float64]) -> None:
        super().__init__()
        self._subject = subject
        self.flux = subject.flux.double()[None]
        self.wavelength = wavelength

    def forward(self, flux: Tensor) -> Tensor:
        """Scores (B,) of flux (B, N), in the type of ``flux``."""
        return -self._subject.log_prob(flux.double()).to(flux.dtype)

    def scores(self, flux: NDArray[np.floating]) -> NDArray[np.float64]:
        """The same for arrays of NumPy, without gradients: a plain callable."""
        with no_grad():
            found: NDArray[np.float64] = self.forward(from_numpy(np.array(flux, np.float64))).numpy()
        return found
