"""Viewer list of SDSS: plate, MJD and fibre, by which its pages and files name a spectrum.

The page of a spectrum takes them as ``plateid``, ``mjd`` and ``fiberid``
(https://dr16.sdss.org/optical/spectrum/view/data/access), its file is ``spec-PLATE-MJD-FIBER.fits``.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.surveys.viewer_list import ListedSpectrum


def viewer_list(spectra: Sequence[ListedSpectrum]) -> str:
    """A line ``plate mjd fiberid`` for each spectrum, by plate; of what has none, its key as a comment."""
    named = sorted({(each.plate, each.mjd, each.fiber) for each in spectra if _is_named(each)})
    lines = ["# plate mjd fiberid", *(" ".join(map(str, each)) for each in named)]
    lines += [f"# without plate, MJD and fibre: {each.key}" for each in spectra if not _is_named(each)]
    return "\n".join(lines) + "\n"


def _is_named(spectrum: ListedSpectrum) -> bool:
    return min(spectrum.plate, spectrum.mjd, spectrum.fiber) >= 0
