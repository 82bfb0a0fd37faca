"""Coverage: how many spectra of a release the models of a run carry, from a sample of its tables.

No pixel is read. The sample is of whole files, drawn by a hash of what they are: another order of the files,
or another machine, gives the same sample.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.spectra.rows import Rows
from engine.spectra.source_file import SourceFile
from engine.store.routing import NO_MODEL, ModelReference, routed
from engine.surveys.reading import open_spectra
from models.errors import QuarantineError
from models.interval import Interval
from models.row_status import RowStatus

ENOUGH_SPECTRA, MOST_FILES = 20_000, 256
"""A sample ends with the file that reaches one of the two."""

_AT_A_TIME = 8
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class CoverageCell:
    """Spectra of one class between two redshifts, and what scores them.

    Attributes
    ----------
    spectype : the class; empty where the survey gives none.
    redshift_min, redshift_max : of the sampled spectra, rounded outwards.
    model : name of the model that carries them; empty where none of the run does.
    share : of all spectra of the release.
    """

    spectype: str
    redshift_min: float
    redshift_max: float
    model: str
    share: Interval


@dataclass(frozen=True)
class SampledFile:
    """A file of the sample: its ``rows``, and the ``bytes`` that a run reads of it (:func:`sample_files`)."""

    file: SourceFile
    rows: Rows
    bytes: int


@dataclass(frozen=True)
class Coverage:
    """What the models of a run carry.

    Attributes
    ----------
    files, spectra : of the sample; all_files : of which it was drawn; unreadable : files of it left out.
    bytes_per_spectrum : that a run reads.
    carried : share of all spectra that a model carries.
    unusable : share without target, redshift or working fibre.
    cells : the others by class, redshift and model, sorted by class and redshift.
    """

    files: int
    all_files: int
    unreadable: int
    spectra: int
    bytes_per_spectrum: float
    carried: Interval
    unusable: Interval
    cells: tuple[CoverageCell, ...]

    @property
    def whole(self) -> bool:
        """Whether every file was looked at."""
        return self.files == self.all_files


def carrying(models: Sequence[ModelReference], rows: Rows) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
    """Which rows (n,) have target, fibre and redshift, and the place of the model that scores each.

    ``NO_MODEL`` where there is none, and for the others.
    """
    usable = (rows["status"] == RowStatus.SCORED) & np.isfinite(rows["redshift"])
    route = np.where(usable, routed(models, rows["spectype"], rows["redshift"]), NO_MODEL).astype(np.int8)
    for number, model in enumerate(models):
        route[(route == number) & ~model.covers(rows["redshift"])] = NO_MODEL
    return usable, route


def sample_files(files: Sequence[SourceFile]) -> tuple[tuple[SampledFile, ...], int]:
    """The tables of a random sample of files, and how many of it could not be read.

    The bytes of a file are those of its HDUs of spectra, unpacked; its redshifts, which are small, apart.

    Raises
    ------
    RetryError : the disk or network is away.
    """
    order = sorted(files, key=lambda file: hashlib.blake2b(file.identity.encode(), digest_size=8).digest())
    before = np.cumsum([0, *(file.spectra for file in order)])[:-1]
    chosen = [file for file, spectra in zip(order, before, strict=True) if spectra < ENOUGH_SPECTRA]
    chosen = chosen[:MOST_FILES]
    # Over a network each file is some answers to wait for.
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = [each for each in pool.map(_sampled, chosen) if each is not None]
    return tuple(found), len(chosen) - len(found)


def coverage_of(
    sample: Sequence[SampledFile],
    unreadable: int,
    all_files: int,
    models: Sequence[ModelReference],
) -> Coverage | None:
    """What the models of a run carry of a release of ``all_files``; None without a spectrum to tell it by."""
    spectra = sum(len(each.rows) for each in sample)
    if not spectra:
        return None
    file = np.repeat(np.arange(len(sample)), [len(each.rows) for each in sample])
    rows = Rows.concatenate([each.rows for each in sample])
    redshift = rows["redshift"]
    usable, model = carrying(models, rows)

    def share(chosen: NDArray[np.bool_]) -> Interval:
        return share_of_release(chosen, file, all_files)

    cells = []
    for spectype in np.unique(rows["spectype"][usable]).tolist():
        of_class = np.flatnonzero(usable & (rows["spectype"] == spectype))
        of_class = of_class[np.argsort(redshift[of_class], kind="stable")]
        for part in np.split(of_class, np.flatnonzero(np.diff(model[of_class])) + 1):
            chosen = np.zeros(spectra, dtype=bool)
            chosen[part] = True
            name = "" if model[part[0]] == NO_MODEL else models[model[part[0]]].name
            low, high = _outwards(float(redshift[part[0]]), float(redshift[part[-1]]))
            cells.append(CoverageCell(spectype, low, high, name, share(chosen)))
    return Coverage(
        files=len(sample),
        all_files=all_files,
        unreadable=unreadable,
        spectra=spectra,
        bytes_per_spectrum=sum(each.bytes for each in sample) / spectra,
        carried=share(model != NO_MODEL),
        unusable=share(~usable),
        cells=tuple(cells),
    )


def share_of_release(chosen: NDArray[np.bool_], file: NDArray[np.int64], all_files: int) -> Interval:
    """Share of a release's spectra that are ``chosen`` (n,) in a sample of whole files, with its interval.

    Spectra of one file are alike, so n of them tell less than n drawn singly. The variance is that of a ratio
    over files (Cochran 1977, Sampling Techniques, section 2.11), and at least the binomial one. The interval
    is Wilson's for as many independent spectra as have that variance.

    Parameters
    ----------
    file : (n,) number of the file of each spectrum, from 0, each with one or more.
    all_files : of the release. A sample of all of them leaves nothing open.
    """
    rows, files = len(chosen), int(file.max()) + 1
    share = float(chosen.mean())
    open_part = max(0.0, 1.0 - files / all_files)
    if open_part == 0:
        return Interval(share, share, share)
    binomial = share * (1.0 - share)
    apart = np.bincount(file, weights=chosen - share)
    between = files / max(files - 1, 1) * float((apart**2).sum()) / rows
    number = rows / open_part * (binomial / max(binomial, between) if binomial else 1.0)
    return wilson(share, number)


def wilson(share: float, number: float) -> Interval:
    """Wilson's interval (1927, J. Am. Stat. Assoc. 22, 209) of a share of ``number`` independent spectra."""
    squared = _NORMAL_95**2
    spread = math.sqrt(share * (1 - share) / number + squared / (4 * number**2))
    middle = (share + squared / (2 * number)) / (1 + squared / number)
    half = _NORMAL_95 * spread / (1 + squared / number)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def _sampled(file: SourceFile) -> SampledFile | None:
    try:
        with open_spectra(file, 0, 0) as spectra:
            return SampledFile(file, spectra.rows(0, file.spectra), spectra.bytes_of_spectra)
    except QuarantineError:
        return None


def _outwards(low: float, high: float) -> tuple[float, float]:
    """Redshifts rounded outwards to hundredths, to thousandths where they are small as those of stars."""
    digits = 2 if max(abs(low), abs(high)) >= 0.02 else 3
    step = 10**digits
    return round(math.floor(low * step) / step, digits), round(math.ceil(high * step) / step, digits)
