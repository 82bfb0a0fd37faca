"""DESI coadds by sky pixel: ``healpix/`` up to DR2, ``spectra/`` with adaptive pixels from DR3 on.

Paths after https://desidatamodel.readthedocs.io (DESI_SPECTRO_REDUX/SPECPROD). Pixels up to DR2 are HEALPix
of nside 64, nested. From DR3 on they are of several sizes, numbered by UNIQPIX = pixel + 4 nside^2 (nested).

On disk the directories are walked, and compared with the production's catalogue where there is one. Behind
a URL nothing is listed where there is a catalogue: it names the pixels, and the file of checksums in each
pixel's directory says which files are there. A pixel without such a file is asked for by its coadd's name.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from engine.spectra.source_file import RefusedFile
from engine.surveys.desi.catalogue import (
    SURVEY_NAMES,
    Pixel,
    PixelCatalogue,
    decode_uniqpix,
    healpix_catalogue,
    uniqpix_catalogue,
)
from engine.surveys.desi.coadd_files import holds_all_coadds, redshift_urls
from engine.surveys.directory import PACKINGS, directory_of, kind_of, name_of, subdirectory
from engine.surveys.fingerprint import PublishedChecksums
from engine.surveys.layout import Candidate, Found, Layout
from engine.surveys.pairing import pair, pair_listed
from models.errors import ErrorKind, QuarantineError

_PATH = re.compile(
    r"/(?P<survey>[a-z0-9]+)/(?P<program>[a-z0-9]+)/(?P<group>\d+)/(?P<number>\d+)"
    r"/(?:coadd|redrock|zbest)-(?P=survey)-(?P=program)-(?P=number)\.fits(?:\.[gf]z)?$"
)
_PROBES = 32


def _select(read: Callable[[str], PixelCatalogue | None], base: str, urls: Sequence[str]) -> Found:
    candidates = pair_listed([url for url in urls if _PATH.search(url)], redshift_urls)
    catalogue = read(base)
    if catalogue is None:
        return Found(candidates)
    return _compared(catalogue, candidates, PublishedChecksums())


def _from_catalogue(read: Callable[[str], PixelCatalogue | None], base: str) -> Found | None:
    catalogue = read(base)
    if catalogue is None or not catalogue.pixels:
        return None
    directories = {f"{catalogue.base}/{pixel.directory}": pixel for pixel in catalogue.pixels}
    published = PublishedChecksums()
    without_sums = {
        directory_of(url)
        for url in published.load(
            [f"{directory}/{_sums_name(catalogue.base, pixel)}" for directory, pixel in directories.items()]
        )
    }
    candidates: list[Candidate] = []
    for directory, pixel in directories.items():
        if directory in without_sums:
            continue
        listed = published.names(directory)
        if listed is None:  # cannot be read now: to be quarantined when it is looked into
            coadd = f"{catalogue.base}/{pixel.coadd}"
            candidates.append(Candidate(coadd, redshift_urls(coadd)[0]))
        else:
            urls = (f"{directory}/{name}" for name in listed)
            candidates += pair_listed([url for url in urls if _PATH.search(url)], redshift_urls)
    published.load((), without_sums)
    coadds = [f"{catalogue.base}/{directories[directory].coadd}" for directory in sorted(without_sums)]
    with ThreadPoolExecutor(_PROBES, thread_name_prefix="probing") as pool:
        candidates += itertools.chain.from_iterable(pool.map(_probe, coadds))
    candidates.sort(key=lambda candidate: candidate.url)
    return _compared(catalogue, candidates, published)


def _probe(coadd: str) -> tuple[Candidate, ...]:
    """A coadd asked for by its name, compressed or not; with its redshifts."""
    names = (f"{coadd}{end}" for end in ("", *PACKINGS))
    there = next((url for url in names if kind_of(url) == "file"), "")
    return pair([there], redshift_urls) if there else ()


def _compared(
    catalogue: PixelCatalogue, candidates: Sequence[Candidate], published: PublishedChecksums
) -> Found:
    """Candidates with the catalogue's pixels that have none."""
    present = {
        Pixel(match["survey"], match["program"], int(match["number"]))
        for match in (_PATH.search(candidate.url) for candidate in candidates)
        if match
    }
    absent = (_not_there(catalogue.base, pixel) for pixel in catalogue.pixels if pixel not in present)
    return Found(tuple(candidates), (*absent, *catalogue.damaged), published)


def _not_there(base: str, pixel: Pixel) -> RefusedFile:
    url = f"{base}/{pixel.coadd}"
    got = f"pixel {pixel.number}"
    if name_of(base) == "spectra":
        nside, healpix = decode_uniqpix(pixel.number)
        got = f"UNIQPIX {pixel.number}, pixel {healpix} of nside {nside}"
    reason = QuarantineError(
        "The production's catalogue names a pixel without a coadd.",
        where=url,
        got=got,
        remedy="Nothing to do: a production's catalogue names some pixels that were not coadded.",
        kind=ErrorKind.NOT_ON_DISK,
    )
    return RefusedFile(url, reason.kind, str(reason))


def _sums_name(base: str, pixel: Pixel) -> str:
    """Name of the file of checksums in a pixel's directory: the production, then the path's parts."""
    production, form = name_of(directory_of(base)), name_of(base)
    return f"redux_{production}_{form}_{pixel.directory.replace('/', '_')}.sha256sum"


def _healpix_base(root: str) -> str:
    return subdirectory(root, "healpix")


def _uniqpix_base(root: str) -> str:
    """``spectra`` where it is DESI's: SDSS reductions have a directory of that name too."""
    return directory_of(subdirectory(root, *(f"spectra/{survey}" for survey in SURVEY_NAMES)))


_SKIPPED = frozenset({"logs"})

DESI_HEALPIX = Layout(
    "desi-healpix",
    "healpix/<survey>/<program>/<pixel//100>/<pixel>/coadd-<survey>-<program>-<pixel>.fits",
    _healpix_base,
    partial(_select, healpix_catalogue),
    holds_all_coadds,
    _SKIPPED,
    from_catalogue=partial(_from_catalogue, healpix_catalogue),
)
DESI_UNIQPIX = Layout(
    "desi-uniqpix",
    "spectra/<survey>/<program>/<uniqpix//100>/<uniqpix>/coadd-<survey>-<program>-<uniqpix>.fits",
    _uniqpix_base,
    partial(_select, uniqpix_catalogue),
    holds_all_coadds,
    _SKIPPED,
    from_catalogue=partial(_from_catalogue, uniqpix_catalogue),
)
