"""Other files: kinds of files that people take for spectra and that are not read, known by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.surveys.directory import name_of


@dataclass(frozen=True, slots=True)
class OtherFile:
    """What a file is, and what to do instead, both for people."""

    kind: str
    remedy: str


_COADD = "Give the coadd-*.fits of the same pixel or tile, with its redrock-*.fits beside it."
_SPEC = "Give the spec-*.fits of the spectrum."
_IN_PYTHON = "Read it yourself in Python, and give wavelength, flux and ivar to whyspec.explain."

_BY_NAME = {
    r"(zall|zpix|ztile|zcatalog)-": OtherFile("a DESI catalogue: redshifts without spectra", _COADD),
    r"(c|s)?frame-": OtherFile("a DESI frame: one camera of one exposure", _COADD),
    r"(rrdetails|rrmodel|emline|qso_mgii|qso_qn)-": OtherFile("a by-product of DESI's redshifts", _COADD),
    r"(spAll|spZbest|spZall|spZline|specObj)": OtherFile("an SDSS catalogue without spectra", _SPEC),
    r"(spCFrame|spFrame|spSky|spFlat|spArc)-": OtherFile("an SDSS single exposure", _SPEC),
    r"(apStar|asStar|apVisit|asVisit|aspcapStar)-": OtherFile(
        "an APOGEE spectrum, in the infrared", "No model ships for it; train one on its grid."
    ),
    r"mwm(Star|Visit)-": OtherFile("an SDSS-V Milky Way Mapper file", _SPEC),
    r"manga-": OtherFile("a MaNGA cube or table of spectra", _IN_PYTHON),
    r".*\.(pkl|pickle)$": OtherFile("a pickle: to load it would run code that is in it", _IN_PYTHON),
    r".*\.(npy|npz)$": OtherFile("arrays of NumPy", _IN_PYTHON),
    r".*\.(h5|hdf5)$": OtherFile("an HDF5 file", _IN_PYTHON),
    r".*\.asdf$": OtherFile("an ASDF file", _IN_PYTHON),
    r".*\.(txt|dat|ascii|tsv)$": OtherFile(
        "a text file", "Write it as .csv, with a header line that names wavelength, flux and ivar or error."
    ),
}


def other_file(url: str) -> OtherFile | None:
    """What a file is that is not read; None for names that say nothing."""
    name = name_of(url)
    return next((each for pattern, each in _BY_NAME.items() if re.match(pattern, name)), None)
