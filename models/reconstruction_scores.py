"""Reconstruction scores: how badly an autoencoder reconstructs a spectrum.

The eight scores of Ortiz Manrique & Boquien (A&A 703, A242, 2025), {MSE, chi2-like} x {all pixels,
emission lines masked} x {100 %, 97 % of the pixels}, in two forms. All are deterministic functions of
spectrum and reconstruction, and differentiable with respect to both.

``ivar``, the default form: means, so that masked and trimmed scores are on the scale of the others.
"mse" is the mean of d**2 weighted by inverse variance, "chi2" the mean of d**2 ivar, near 1 for a
reconstruction within the noise. Trimmed on |d| sqrt(ivar); lines masked in vacuum.

``published`` : the arithmetic of their code (github.com/ed-ortizm/anomaly), in its order: drop the line
pixels; d = |R - O|; keep the int(0.97 n) pixels of smallest d; square; for chi2 divide by
O + 0.001; root of the *sum*. With its defects:

- the weight 1 / (O + 0.001) is negative where the observed flux is, and grows without bound around
  O = -0.001: the sum can be negative, its root is then NaN, and a zero divisor gives infinity. (The
  published preprocessing drops every pixel whose error exceeds its flux, and so never met this.);
- sums of unequal numbers of pixels: masked, trimmed and whole scores are not on one scale, and
  "mse" is the length of the residual vector, not a mean;
- "chi2" uses no variance, and both statistics are trimmed on unweighted residuals;
- line windows in air wavelengths on vacuum spectra, see :mod:`models.line_mask`.

What cannot be as published: their pixels without data were imputed before scoring, ours do not take
part.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from models.errors import BugError, ErrorKind
from models.line_mask import PUBLISHED_LINES, VACUUM_LINES, line_pixels
from models.score_kinds import KINDS, Form, Pixels, ScoreKind, Statistic

KEPT_SHARE = 0.97
FLUX_OFFSET = 0.001
"""The published epsilon, added to the median-normalised flux."""

_ROWS_AT_ONCE = 32  # few enough that double-precision temporaries stay near the caches
_LINES: dict[Form, tuple[float, ...]] = {"published": PUBLISHED_LINES, "ivar": VACUUM_LINES}


@dataclass(frozen=True, eq=False)
class ReconstructedSpectra:
    """n spectra of N pixels with their reconstructions.

    Attributes
    ----------
    flux, reconstruction : (n, N), both divided by the spectrum's normalisation (its median).
    ivar : (n, N), inverse variance of ``flux`` in the same normalisation. Pixels that are not good or
        have none do not take part.
    good : (n, N) bool.
    redshift : (n,).
    wavelength : (N,) pixel centres, vacuum Angstrom, observed frame.

    Raises
    ------
    BugError : shapes do not fit together.
    """

    flux: Tensor
    ivar: Tensor
    good: Tensor
    reconstruction: Tensor
    redshift: Tensor
    wavelength: Tensor

    def __post_init__(self) -> None:
        shape = self.flux.shape
        fits = (
            len(shape) == 2
            and shape == self.ivar.shape == self.good.shape == self.reconstruction.shape
            and self.redshift.shape == shape[:1]
            and self.wavelength.shape == shape[1:]
            and self.good.dtype == torch.bool
        )
        if not fits:
            shapes = ", ".join(
                f"{part.name} {tuple(getattr(self, part.name).shape)}" for part in fields(self)
            )
            raise BugError(
                "Spectra and reconstructions do not fit together.",
                where="reconstruction scores",
                got=f"{shapes}; good is {self.good.dtype}",
                allowed="(n, N) four times, good bool, then (n,) and (N,)",
                remedy="Pass spectra and reconstructions on one grid, one redshift per spectrum.",
                kind=ErrorKind.RECONSTRUCTION_SCORES_SHAPE,
            )

    def __len__(self) -> int:
        return len(self.flux)

    def rows(self, rows: slice) -> ReconstructedSpectra:
        """Some of the spectra."""
        return ReconstructedSpectra(
            self.flux[rows],
            self.ivar[rows],
            self.good[rows],
            self.reconstruction[rows],
            self.redshift[rows],
            self.wavelength,
        )


class ReconstructionScore(nn.Module):
    """One of the scores.

    A score is NaN where nothing is left to score, in a row whose flux, ivar or reconstruction is not
    finite at a pixel that takes part, and in the ``nolines`` scores of a row without redshift; in the
    published form also where the published arithmetic has no result.

    Parameters
    ----------
    name : one of :data:`models.score_kinds.RECONSTRUCTION_SCORES`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.kind = ScoreKind.named(name)

    def forward(self, spectra: ReconstructedSpectra) -> Tensor:
        """Scores, (n,) float64."""
        return _Residuals(spectra).score(self.kind)


def reconstruction_scores(spectra: ReconstructedSpectra) -> Tensor:
    """The 16 scores of n spectra, (n, 16) float32, columns by the names of :mod:`models.score_kinds`.

    The same as 16 :class:`ReconstructionScore`, at less cost.
    """
    count = len(spectra)
    scores = spectra.flux.new_empty((count, len(KINDS)), dtype=torch.float32)
    for low in range(0, count, _ROWS_AT_ONCE):
        some = slice(low, low + _ROWS_AT_ONCE)
        residuals = _Residuals(spectra.rows(some))
        scores[some] = torch.stack([residuals.score(kind) for kind in KINDS], dim=1)
    return scores


class _Residuals:
    """Residuals of n spectra, and what the scores share of them."""

    def __init__(self, spectra: ReconstructedSpectra) -> None:
        flux, ivar, reconstruction = spectra.flux, spectra.ivar, spectra.reconstruction
        finite = torch.isfinite(flux) & torch.isfinite(reconstruction) & torch.isfinite(ivar)
        taken = spectra.good & ((ivar > 0) | torch.isnan(ivar))
        whole = (taken & ~finite).sum(dim=1) == 0
        self._taken = taken & whole[:, None]
        # In double precision: squares of a wild pixel must neither overflow nor drown the others.
        self._residual = torch.where(self._taken, reconstruction.double() - flux, 0)
        self._weight = torch.where(self._taken, ivar, 0)
        self._flux = torch.where(self._taken, flux, 1)
        self._redshift, self._wavelength = spectra.redshift, spectra.wavelength
        self._selections: dict[tuple[Form, Pixels, int], _Selection] = {}
        self._terms: dict[tuple[Form, Statistic], Tensor] = {}

    def score(self, kind: ScoreKind) -> Tensor:
        """(n,) float64."""
        selection = self._selection(kind.form, kind.pixels, kind.percent)
        total = selection.sum(self._term(kind))
        total = _root(total) if kind.form == "published" else total / self._divisor(kind, selection)
        return torch.where(selection.count > 0, total, torch.nan)

    def _divisor(self, kind: ScoreKind, selection: _Selection) -> Tensor:
        return selection.sum(self._weight.double()) if kind.statistic == "mse" else selection.count

    def _term(self, kind: ScoreKind) -> Tensor:
        """What a pixel adds if a score looks at it, (n, N) float64."""
        # The two statistics of the ivar form differ in what the sum is divided by, not in its terms.
        key: tuple[Form, Statistic] = (kind.form, "chi2" if kind.form == "ivar" else kind.statistic)
        if key not in self._terms:
            square = self._residual.square()
            if kind.form == "ivar":
                square = square * self._weight
            elif kind.statistic == "chi2":
                square = square / (self._flux.double() + FLUX_OFFSET)
            self._terms[key] = square
        return self._terms[key]

    def _selection(self, form: Form, pixels: Pixels, percent: int) -> _Selection:
        """Which pixels a score looks at."""
        key = (form, pixels, percent)
        if key not in self._selections:
            if percent != 100:
                kept = self._trimmed(form, self._selection(form, pixels, 100))
            elif pixels == "nolines":
                kept = self._taken & self._off_lines(_LINES[form])
            else:
                kept = self._taken
            self._selections[key] = _Selection(kept)
        return self._selections[key]

    def _off_lines(self, lines: tuple[float, ...]) -> Tensor:
        known = torch.isfinite(self._redshift) & (self._redshift > -1)
        near = line_pixels(torch.where(known, self._redshift, 0), self._wavelength, lines)
        return ~near & known[:, None]

    def _trimmed(self, form: Form, selection: _Selection) -> Tensor:
        """The pixels without those of largest residual: int(0.97 n) of each row's n stay."""
        residual = self._residual.detach().abs().to(self._weight.dtype)  # ranks are dear in double
        if form == "ivar":
            residual = residual * self._weight.sqrt()
        drop = selection.count - (selection.count.double() * KEPT_SHARE).long()
        most = int(drop.max()) if len(drop) else 0
        largest = torch.where(selection.kept, residual, -1).topk(most, dim=1).indices
        rank = torch.arange(most, device=residual.device)
        stay = torch.ones_like(selection.kept).scatter(1, largest, rank >= drop[:, None])
        return selection.kept & stay


class _Selection:
    """Pixels of n spectra: ``kept`` (n, N) bool, ``count`` (n,) of each row."""

    def __init__(self, kept: Tensor) -> None:
        self.kept = kept
        self.count = kept.sum(dim=1)

    def sum(self, term: Tensor) -> Tensor:
        """Sum over the kept pixels, (n, N) to (n,); others may hold anything."""
        return torch.where(self.kept, term, 0).sum(dim=1)


def _root(total: Tensor) -> Tensor:
    """Square root, NaN of what is negative; its gradient at 0 is 0, not infinite."""
    positive = total > 0
    root = torch.where(positive, total, 1).sqrt()
    return torch.where(positive, root, torch.where(total == 0, 0.0, torch.nan))
