"""How badly an autoencoder reconstructs a spectrum: the scores beside the probability density.

The eight scores of Ortiz Manrique & Boquien (A&A 703, A242, 2025), {MSE, chi2-like} x {all pixels,
emission lines masked} x {100 %, 97 % of the pixels}, in two forms.

``published`` : what their code (github.com/ed-ortizm/anomaly) computes, in its order: drop the line
pixels; d = |R - O|; keep the int(0.97 n) pixels of smallest d; square; for chi2 divide by O + 0.001;
root of the *sum*. So "mse" is the length of the residual vector, "chi2" uses no variance, trimming
looks at unweighted residuals in both, and scores of unequal pixel counts are not on one scale.
O and R are meant to be normalised by the spectrum's median, which gives the 0.001 its size. Where
O + 0.001 is near or below zero the code divides by nearly nothing or makes the sum negative; here
the divisor is max(O, 0) + 0.001, the same value wherever the observed flux is not negative.

``ivar`` : trimmed on |d| sqrt(ivar). "mse" is the mean of d**2 weighted by inverse variance, "chi2"
the mean of d**2 ivar, near 1 for a reconstruction within the noise. Means, so that masked and
trimmed scores compare with the others.
"""

from __future__ import annotations

from itertools import product

import torch

from models.errors import BugError
from models.lines import LINES

RECONSTRUCTION_SCORES: tuple[str, ...] = tuple(
    f"{form}_{statistic}_{pixels}_{percent}"
    for form, pixels, percent, statistic in product(
        ("published", "ivar"), ("all", "nolines"), (100, 97), ("mse", "chi2")
    )
)
"""Names of the 16 columns, e.g. ``published_mse_all_100`` or ``ivar_chi2_nolines_97``."""

KEPT_SHARE = 0.97
FLUX_OFFSET = 0.001
"""The published epsilon, added to the median-normalised flux."""

LINE_HALF_WIDTH_KMS = 250.0
_ROWS_AT_ONCE = 32  # few enough that double-precision temporaries stay near the caches
_SPEED_OF_LIGHT_KMS = 299_792.458
_OII_BLUE = 3727.10  # the published list has the doublet's blue line only, 3726.04 in air
_BALMER = frozenset(("Hδ", "Hγ", "Hβ", "Hα"))
_FORBIDDEN = frozenset(
    ("[O III] 4960", "[O III] 5008", "[N II] 6550", "[N II] 6585", "[S II] 6718", "[S II] 6733")
)
MASKED_LINES: tuple[float, ...] = (
    _OII_BLUE,
    *(line.wavelength for line in LINES if line.name in _BALMER | _FORBIDDEN),
)
"""Vacuum wavelengths in Angstrom, increasing, of the 11 lines masked in the ``nolines`` scores."""


def reconstruction_scores(
    flux: torch.Tensor,
    ivar: torch.Tensor,
    good: torch.Tensor,
    reconstruction: torch.Tensor,
    redshift: torch.Tensor,
    wavelength: torch.Tensor,
) -> torch.Tensor:
    """The 16 scores of n spectra, (n, 16) float32, columns as in :data:`RECONSTRUCTION_SCORES`.

    Pixels that are not good or have no inverse variance do not take part. A score is NaN where
    nothing is left to score, in all columns of a row whose flux, ivar or reconstruction is not
    finite at a pixel that takes part, and in the ``nolines`` columns of a row without redshift.

    Parameters
    ----------
    flux, reconstruction : (n, N), both divided by the spectrum's normalisation (its median).
    ivar : (n, N), inverse variance of ``flux`` in the same normalisation.
    good : (n, N) bool.
    redshift : (n,).
    wavelength : (N,) pixel centres, vacuum Angstrom, observed frame.

    Raises
    ------
    BugError : shapes do not fit together.
    """
    _check_shapes(flux, ivar, good, reconstruction, redshift, wavelength)
    scores = flux.new_empty((len(flux), len(RECONSTRUCTION_SCORES)), dtype=torch.float32)
    for low in range(0, len(flux), _ROWS_AT_ONCE):
        some = slice(low, low + _ROWS_AT_ONCE)
        scores[some] = _scores(
            flux[some], ivar[some], good[some], reconstruction[some], redshift[some], wavelength
        )
    return scores


def _scores(
    flux: torch.Tensor,
    ivar: torch.Tensor,
    good: torch.Tensor,
    reconstruction: torch.Tensor,
    redshift: torch.Tensor,
    wavelength: torch.Tensor,
) -> torch.Tensor:
    distance = (reconstruction - flux).abs()
    finite = torch.isfinite(distance) & torch.isfinite(ivar)
    taken = good & ((ivar > 0) | torch.isnan(ivar))
    broken = (taken & ~finite).any(dim=1)
    taken &= ~broken[:, None]
    zero = torch.zeros((), dtype=flux.dtype, device=flux.device)
    distance = torch.where(taken, distance, zero)
    weight = torch.where(taken, ivar, zero)
    divisor = torch.where(taken, flux, zero).clamp(min=0) + FLUX_OFFSET
    scaled = distance * weight.sqrt()

    known = torch.isfinite(redshift) & (redshift > -1)
    off_lines = taken & ~line_pixels(torch.where(known, redshift, 0), wavelength) & known[:, None]
    # Sums in double precision: squares of a wild pixel must neither overflow nor drown the others.
    squares, weights = distance.double().square(), weight.double()
    columns = []
    for kept in (taken, _trimmed(taken, distance), off_lines, _trimmed(off_lines, distance)):
        nothing = torch.where(kept.any(dim=1), 0.0, torch.nan)
        columns += [(_sum(kept, term) + nothing).sqrt() for term in (squares, squares / divisor)]
    for kept in (taken, _trimmed(taken, scaled), off_lines, _trimmed(off_lines, scaled)):
        chi2 = _sum(kept, squares * weights)
        columns += [chi2 / _sum(kept, weights), chi2 / kept.sum(dim=1)]
    return torch.stack(columns, dim=1)


def line_pixels(redshift: torch.Tensor, wavelength: torch.Tensor) -> torch.Tensor:
    """Whether a pixel lies within 250 km/s of a masked line, (n, N) bool.

    ``redshift`` (n,) finite, ``wavelength`` (N,) in vacuum Angstrom, observed frame.
    """
    half = LINE_HALF_WIDTH_KMS / _SPEED_OF_LIGHT_KMS
    borders = [line * side for line in MASKED_LINES for side in (1 - half, 1 + half)]
    # The windows do not overlap, so a wavelength lies inside one after an odd number of borders.
    edges = torch.tensor(borders, dtype=torch.float64, device=wavelength.device)
    rest = wavelength.double() / (1 + redshift.double())[:, None]
    return torch.bucketize(rest, edges) % 2 == 1


def _trimmed(selected: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """``selected`` without the pixels of largest residual: int(0.97 n) of each row's n stay."""
    total = selected.sum(dim=1)
    drop = total - (total.double() * KEPT_SHARE).long()
    most = int(drop.max()) if len(drop) else 0
    largest = torch.where(selected, residual, -1).topk(most, dim=1).indices
    rank = torch.arange(most, device=residual.device)
    stay = torch.ones_like(selected).scatter(1, largest, rank >= drop[:, None])
    return selected & stay


def _sum(kept: torch.Tensor, term: torch.Tensor) -> torch.Tensor:
    """Sum over the kept pixels of ``term``, which is finite everywhere."""
    total: torch.Tensor = torch.linalg.vecdot(kept.double(), term)
    return total


def _check_shapes(
    flux: torch.Tensor,
    ivar: torch.Tensor,
    good: torch.Tensor,
    reconstruction: torch.Tensor,
    redshift: torch.Tensor,
    wavelength: torch.Tensor,
) -> None:
    fits = (
        flux.ndim == 2
        and flux.shape == ivar.shape == good.shape == reconstruction.shape
        and redshift.shape == flux.shape[:1]
        and wavelength.shape == flux.shape[1:]
        and good.dtype == torch.bool
    )
    if not fits:
        raise BugError(
            "Spectra and reconstructions do not fit together.",
            where="reconstruction scores",
            got=f"flux {tuple(flux.shape)}, ivar {tuple(ivar.shape)}, good {tuple(good.shape)} {good.dtype}, "
            f"reconstruction {tuple(reconstruction.shape)}, redshift {tuple(redshift.shape)}, "
            f"wavelength {tuple(wavelength.shape)}",
            allowed="(n, N) four times, good bool, then (n,) and (N,)",
            remedy="Pass spectra and reconstructions on one grid, one redshift per spectrum.",
            kind="reconstruction-scores-shape",
        )
