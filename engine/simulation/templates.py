"""Galaxies drawn from redrock's templates: real coefficient rows, mixed with their neighbours.

The files are those DESI users have at ``$RR_TEMPLATE_DIR`` (desihub/redrock-templates):
``rrtemplate-galaxy-*.fits`` with HDUs BASIS_VECTORS and ARCHETYPE_COEFF.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from engine.simulation.rest_frame import RestFrameBasis
from models.errors import ErrorKind, InputError

Floats = NDArray[np.float64]

_NEIGHBOURS = 8
_REMEDY = "Point --templates or RR_TEMPLATE_DIR at a directory of redrock-templates, or leave templates out."


@dataclass(frozen=True)
class GalaxyTemplates:
    """A basis with the coefficient rows of real galaxies, scaled to a mean flux of 1 in 5000-6000 Angstrom.

    Attributes
    ----------
    basis : the components.
    coefficients : (rows, components).
    neighbours : (rows, 8) rows nearest in shape, nearest first, the row itself left out.
    """

    basis: RestFrameBasis
    coefficients: Floats
    neighbours: NDArray[np.int64]

    def draw(self, random: np.random.Generator) -> Floats:
        """Coefficients of one galaxy: a row moved up to half the way towards one of its neighbours."""
        row = int(random.integers(len(self.coefficients)))
        other = self.neighbours[row, int(random.integers(self.neighbours.shape[1]))]
        share = 0.5 * random.random()
        return np.asarray((1.0 - share) * self.coefficients[row] + share * self.coefficients[other])

    def draw_wide(self, random: np.random.Generator) -> Floats:
        """Coefficients of a row moved along the ways to two neighbours, in either sense; may be negative."""
        row = int(random.integers(len(self.coefficients)))
        first, second = self.neighbours[row, random.integers(self.neighbours.shape[1], size=2)]
        own, along = self.coefficients[row], random.uniform(-0.4, 0.8, 2)
        moved = (
            own + along[0] * (self.coefficients[first] - own) + along[1] * (self.coefficients[second] - own)
        )
        return np.asarray(moved)


@lru_cache(maxsize=1)
def load_galaxy_templates(directory: Path) -> GalaxyTemplates:
    """The galaxy templates of ``directory``; the last by name where there are several with coefficients.

    Rows whose spectrum is negative anywhere in the optical are left out: sums of principal components
    that fit a real galaxy in the mean but are no spectrum themselves.

    Raises
    ------
    InputError : no directory, no such file, or a file without the two HDUs.
    """
    for path in sorted(directory.glob("rrtemplate-[gG]*.fits"), reverse=True):
        with fits.open(path) as hdus:
            if "BASIS_VECTORS" not in hdus or "ARCHETYPE_COEFF" not in hdus:
                continue
            header = hdus["BASIS_VECTORS"].header
            vectors = np.asarray(hdus["BASIS_VECTORS"].data, dtype=np.float64)
            rows = np.asarray(hdus["ARCHETYPE_COEFF"].data, dtype=np.float64)
        if rows.shape[1] != len(vectors) or header.get("LOGLAM", 0):
            continue
        return _templates(float(header["CRVAL1"]), float(header["CDELT1"]), vectors, rows)
    raise InputError(
        "No galaxy templates with coefficient rows were found.",
        where=str(directory),
        allowed="rrtemplate-galaxy-*.fits with HDUs BASIS_VECTORS and ARCHETYPE_COEFF",
        remedy=_REMEDY,
        kind=ErrorKind.NO_TEMPLATES,
    )


def _templates(start: float, step: float, vectors: Floats, rows: Floats) -> GalaxyTemplates:
    # The published vectors end in one stray pixel.
    vectors = vectors[:, :-2]
    wavelength = start + step * np.arange(vectors.shape[1])
    optical = (wavelength > 2200.0) & (wavelength < 9990.0)
    window = (wavelength > 5000.0) & (wavelength < 6000.0)
    level = rows @ vectors[:, window].mean(axis=1)
    rows = rows[level > 0] / level[level > 0, None]
    # Compared in bins of ten samples: a template's stray sample is no flaw of the galaxy.
    optical_vectors = vectors[:, optical]
    whole = optical_vectors.shape[1] // 10 * 10
    binned = optical_vectors[:, :whole].reshape(len(vectors), -1, 10).mean(axis=2)
    lowest = (rows @ binned).min(axis=1)
    rows = rows[lowest > 0]
    distance = ((rows[:, None, :] - rows[None, :, :]) ** 2).sum(axis=2)
    neighbours = np.argsort(distance, axis=1, kind="stable")[:, 1 : 1 + _NEIGHBOURS]
    return GalaxyTemplates(RestFrameBasis.from_samples(start, step, vectors), rows, neighbours)
