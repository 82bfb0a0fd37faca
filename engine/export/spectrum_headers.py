"""Headers of exported spectra: what a spectrum is, why it is odd, and its places."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pandas as pd
from astropy.io import fits

from engine.attribution.places import Place
from engine.export.explained import WHAT_IS_KEPT, ExplainedSpectrum
from engine.query.astropy_table import ascii_text, fits_table
from engine.store.reading import StoreView
from engine.store.root import code_version
from models.plain_text import printable

FLUX, IVAR = "10**-17 erg/(s cm2 Angstrom)", "10**34 s2 cm4 Angstrom2/erg2"
"""Units of flux and inverse variance as FITS writes them, and DESI's data model."""

_COMMENT = 72
"""Characters in a card of a comment."""

_CARDS = {
    "SPECKEY": "key",
    "TARGETID": "target_id",
    "RA": "ra",
    "DEC": "dec",
    "Z": "redshift",
    "SPECTYPE": "spectype",
    "SCORE": "score",
    "TAILPROB": "tail_probability",
    "SNR": "snr",
    "CAUSE": "cause",
    "CAUSEPRO": "cause_probability",
    "INSTRPRO": "instrument_probability",
    "CAUTIONS": "cautions",
    "MODEL": "model",
    "NORM": "normalisation",
}
"""Keywords of the primary header, and the columns that they hold."""


def primary(view: StoreView, spectrum: ExplainedSpectrum) -> fits.PrimaryHDU:
    """A primary HDU that says what one spectrum is. What is not known has no keyword."""
    unit = base(view)
    for keyword, name in _CARDS.items():
        value = spectrum.row[name]
        if isinstance(value, str):
            unit.header[keyword] = header_text(value)
        elif np.isfinite(value):
            unit.header[keyword] = value.item() if isinstance(value, np.generic) else value
    return unit


def base(view: StoreView) -> fits.PrimaryHDU:
    """A primary HDU that says who wrote the file and what it holds."""
    unit = fits.PrimaryHDU()
    unit.header["CREATOR"] = f"whyspec {code_version()}"
    unit.header["METHOD"] = (view.configuration.attribution.method, "of attribution")
    add_comment(unit.header, WHAT_IS_KEPT)
    return unit


def header_text(text: str) -> str:
    """A text as headers of FITS can have it."""
    return ascii_text(printable(text).replace("\n", " ").replace("\t", " "))


def add_comment(header: fits.Header, text: str) -> None:
    """Add sentences to a header, broken between words."""
    for line in textwrap.wrap(text, _COMMENT):
        header.add_comment(line)


def places_table(places: Sequence[Sequence[Place]]) -> fits.BinTableHDU:
    """The table ``PLACES`` of the places of some spectra, each spectrum's that of the highest peak first.

    ``spectrum`` is the spectrum's number in the file, from 0.
    """
    rows = [(number, place) for number, several in enumerate(places) for place in several]
    columns = {
        f"place_{each.name}": [getattr(place, each.name) for _, place in rows] for each in fields(Place)
    }
    columns = {"spectrum": [number for number, _ in rows], **columns}
    types = {name: _TYPES.get(name, "float64") for name in columns}
    return fits_table(pd.DataFrame(columns).astype(types), "PLACES")


_TYPES = {"spectrum": "int32", "place_sign": "int16", "place_line": "str", "place_pixels": "int32"}
"""Types of columns of places; of all others float64. FITS has no signed bytes."""
