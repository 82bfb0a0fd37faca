"""The bits that mask a pixel, judged by repeats: real spectra of one object against each other."""

from __future__ import annotations

import csv
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from engine.surveys.sdss.conventions import FATAL_MASK, MASKING

CROWDED = 1 << 4  # MANYBADCOLUMNS: of a fibre, and as good as none; else a whole spectrum had no clean pixel


class Spectrum(NamedTuple):
    name: tuple[str, str, str]
    ra: float
    dec: float
    first: int
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    mask: NDArray[np.int64]


@pytest.fixture(scope="module")
def spectra(real_data: Path) -> list[Spectrum]:
    """All real SDSS spectra but sky fibres."""
    found = []
    with (real_data / "real" / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("sdss/")]
    for row in rows:
        if row["label"] == "sky fibre":
            continue
        with fits.open(real_data / "real" / row["file"], memmap=False) as hdus:
            table = {name.upper(): hdus[1].data[name] for name in hdus[1].columns.names}
        flux, ivar = (table[name].astype(np.float64) for name in ("FLUX", "IVAR"))
        first = round((float(table["LOGLAM"][0]) - 3.5) / 1e-4)
        name = (row["plate"], row["mjd"], row["fiberid"])
        place = float(row["ra"] or "nan"), float(row["dec"] or "nan")
        found.append(Spectrum(name, *place, first, flux, ivar, table["AND_MASK"].astype(np.int64)))
    return found


def repeats(spectra: list[Spectrum]) -> list[tuple[Spectrum, Spectrum]]:
    """Pairs of different spectra within two arcseconds."""
    return [
        (one, other)
        for one, other in combinations(spectra, 2)
        if one.name != other.name
        and 3600 * np.hypot((one.ra - other.ra) * np.cos(np.radians(one.dec)), one.dec - other.dec) < 2
    ]


def pulls(one: Spectrum, other: Spectrum) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Difference over its stated error; where it is known; the bits of either spectrum; each (n,).

    A smooth ratio and a smooth difference are taken out: apertures, nights and quasars differ.
    """
    first = max(one.first, other.first)
    last = min(one.first + len(one.flux), other.first + len(other.flux))
    (flux, ivar, mask), (flux_, ivar_, mask_) = (
        [part[first - each.first : last - each.first] for part in (each.flux, each.ivar, each.mask)]
        for each in (one, other)
    )
    smooth, smooth_ = median_filter(flux, 301), median_filter(flux_, 301)
    ratio = np.divide(smooth, smooth_, out=np.ones_like(smooth), where=smooth_ != 0)
    known = (ivar > 0) & (ivar_ > 0) & (ratio > 0.05) & (ratio < 20)
    variance = np.divide(1.0, ivar, where=known, out=np.ones_like(ivar))
    variance += ratio**2 * np.divide(1.0, ivar_, where=known, out=np.ones_like(ivar))
    pull = np.where(known, (flux - ratio * flux_) / np.sqrt(variance), 0.0)
    return pull - median_filter(pull, 101), known, mask | mask_


def scatter(values: NDArray[np.float64]) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def test_of_the_bits_that_occur_those_mask_whose_pixels_repeat_badly(spectra: list[Spectrum]) -> None:
    flagged: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    clean: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    pairs = repeats(spectra)
    assert len(pairs) == 48
    for one, other in pairs:
        pull, known, bits = pulls(one, other)
        beside = known & (bits & ~CROWDED == 0)
        for bit in range(32):
            if (chosen := known & (bits >> bit & 1 == 1)).any():
                flagged[bit].append(pull[chosen])
                clean[bit].append(pull[beside])
    ratio = {
        bit: scatter(np.concatenate(flagged[bit])) / scatter(np.concatenate(clean[bit]))
        for bit in flagged
        if sum(map(len, flagged[bit])) >= 1000
    }
    assert ratio == {
        4: pytest.approx(1.0, abs=0.03),
        16: pytest.approx(1.03, abs=0.03),
        23: pytest.approx(1.38, abs=0.05),
    }
    assert {bit for bit in ratio if FATAL_MASK >> bit & 1} == {bit for bit in ratio if ratio[bit] > 1.2}


def test_the_other_bits_that_mask_hide_nothing_in_real_spectra(real_data: Path) -> None:
    """With such pixels in the data these bits can be judged, too: then decide them."""
    hidden: dict[str, int] = defaultdict(int)
    for path in sorted(
        [*(real_data / "real" / "sdss").glob("*.fits"), *(real_data / "sky").glob("spec-*.fits")]
    ):
        with fits.open(path, memmap=False) as hdus:
            table = {name.upper(): hdus[1].data[name] for name in hdus[1].columns.names}
        for bit, name in MASKING.items():
            hidden[name] += int(
                ((table["AND_MASK"].astype(np.int64) >> bit & 1 == 1) & (table["IVAR"] > 0)).sum()
            )
    assert {name for name, pixels in hidden.items() if pixels} == {"BRIGHTSKY"}
