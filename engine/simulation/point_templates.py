"""Quasars and stars from redrock's templates: ``rrtemplate-QSO-*.fits`` and ``rrtemplate-STAR-*.fits``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import fits

from engine.simulation.rest_frame import Floats, RestFrameBasis
from models.errors import ErrorKind, InputError

_QUASAR_STEP = 0.5
"""Angstrom at rest: quasars' lines are wider, and redrock's own pixels are 0.1 to 2.2."""
_OPTICAL = (3650.0, 9800.0)
_BINNED = 10
_REMEDY = (
    "Point --templates or RR_TEMPLATE_DIR at a directory of redrock-templates that holds rrtemplate-QSO-*"
    " and rrtemplate-STAR-*, or leave templates out."
)


@dataclass(frozen=True)
class QuasarTemplate:
    """A mean quasar and the directions in which quasars differ from it.

    Attributes
    ----------
    name : ``HIZ`` or ``LOZ``, by redshift.
    basis : components; the first is the mean.
    spread : (components - 1,) coefficient of each that changes the mean by its own size, root mean
        square.
    first, last : rest wavelengths of its ends, Angstrom.
    """

    name: str
    basis: RestFrameBasis
    spread: Floats
    first: float
    last: float


@dataclass(frozen=True)
class StarTemplate:
    """Stars of one class.

    Attributes
    ----------
    name : ``F``, ``K``, ``M``, ``WD``.
    basis : components.
    coefficients : (rows, components) of real stars, with mean flux 1 from 5000 to 6000 Angstrom.
    """

    name: str
    basis: RestFrameBasis
    coefficients: Floats


@dataclass(frozen=True)
class PointTemplates:
    """``quasars`` from the bluest to the reddest at rest; ``stars`` by class."""

    quasars: tuple[QuasarTemplate, ...]
    stars: tuple[StarTemplate, ...]


@lru_cache(maxsize=1)
def load_point_templates(directory: Path) -> PointTemplates:
    """The templates of quasars and stars in ``directory``; of several versions of one the last by name.

    Raises
    ------
    InputError : none of quasars, or none of stars.
    """
    quasars: dict[str, QuasarTemplate] = {}
    stars: dict[str, StarTemplate] = {}
    for path in sorted(directory.glob("rrtemplate-[qQsS]*.fits")):
        with fits.open(path, memmap=False) as hdus:
            header = hdus[0].header
            vectors = np.asarray(hdus[0].data, dtype=np.float64)
            rows = None
            if "ARCHETYPE_COEFF" in hdus:
                rows = np.asarray(hdus["ARCHETYPE_COEFF"].data, dtype=np.float64)
        name = str(header.get("RRSUBTYP", "")).strip()
        if header.get("RRTYPE") == "QSO" and header.get("LOGLAM", 0):
            quasars[name] = _quasar(name, float(header["CRVAL1"]), float(header["CDELT1"]), vectors)
        elif header.get("RRTYPE") == "STAR" and rows is not None and not header.get("LOGLAM", 0):
            stars[name] = _star(name, float(header["CRVAL1"]), float(header["CDELT1"]), vectors, rows)
    if not quasars or not stars:
        raise InputError(
            "No templates of quasars and stars were found.",
            where=str(directory),
            got=f"{len(quasars)} of quasars, {len(stars)} of stars",
            allowed="rrtemplate-QSO-*.fits and rrtemplate-STAR-*.fits with HDU ARCHETYPE_COEFF",
            remedy=_REMEDY,
            kind=ErrorKind.NO_TEMPLATES,
        )
    return PointTemplates(
        tuple(sorted(quasars.values(), key=lambda template: template.first)),
        tuple(stars[name] for name in sorted(stars)),
    )


def _quasar(name: str, start: float, step: float, vectors: Floats) -> QuasarTemplate:
    logarithmic = 10 ** (start + step * np.arange(vectors.shape[1]))
    first, last = float(logarithmic[0]), float(logarithmic[-1])
    wavelength = np.arange(first, last, _QUASAR_STEP)
    samples = np.stack([np.interp(wavelength, logarithmic, vector) for vector in vectors])
    size = np.sqrt(np.mean((samples / np.maximum(samples[0], 0.05 * samples[0].max())) ** 2, axis=1))
    return QuasarTemplate(
        name, RestFrameBasis.from_samples(first, _QUASAR_STEP, samples), 1.0 / size[1:], first, last
    )


def _star(name: str, start: float, step: float, vectors: Floats, rows: Floats) -> StarTemplate:
    """Rows that are negative somewhere in the optical are left out: no star is."""
    wavelength = start + step * np.arange(vectors.shape[1])
    window = (wavelength > 5000.0) & (wavelength < 6000.0)
    level = rows @ vectors[:, window].mean(axis=1)
    rows = rows[level > 0] / level[level > 0, None]
    inside = vectors[:, (wavelength > _OPTICAL[0]) & (wavelength < _OPTICAL[1])]
    whole = inside.shape[1] // _BINNED * _BINNED
    binned = inside[:, :whole].reshape(len(vectors), -1, _BINNED).mean(axis=2)
    return StarTemplate(
        name, RestFrameBasis.from_samples(start, step, vectors), rows[(rows @ binned).min(axis=1) > 0]
    )
