"""The layouts: where productions put their files, and how redshifts are found beside spectra.

DESI paths after https://desidatamodel.readthedocs.io (DESI_SPECTRO_REDUX/SPECPROD), SDSS paths after
https://data.sdss.org/datamodel and sdss/tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.layouts.directory import directory_of, files_below, kind_of, name_of
from models.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to look into, with its redshift file or empty text.

    ``superseded_by`` names the file that holds the same spectra and more, where there is one.
    """

    url: str
    redshift_url: str
    superseded_by: str = ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A layout: ``shape`` for people; ``find`` gives a directory's candidates, none where it has another."""

    name: str
    shape: str
    find: Callable[[str], list[Candidate]]


_SURVEY = r"(?:cmx|main|special|sv[123])"
_PROGRAM = r"(?:backup|bright|dark|other)"
_FITS = r"\.fits(?:\.gz)?"
_HEALPIX = re.compile(rf"/{_SURVEY}/{_PROGRAM}/\d+/\d+/(?:coadd|redrock)-{_SURVEY}-{_PROGRAM}-\d+{_FITS}$")
_TILES = re.compile(rf"/\d+/(?:\d{{8}}|exp\d{{8}})/(?:coadd|redrock)-\d-\d+-(?:thru|exp)?\d{{8}}{_FITS}$")
_SPEC = re.compile(rf"/spec-[^/]+{_FITS}$")
_THROUGH = re.compile(rf"^(.*/\d+)/\d{{8}}/(coadd-\d)-\d+-thru\d{{8}}{_FITS}$")


def pair(urls: Sequence[str]) -> list[Candidate]:
    """Candidates of files given one by one; ``redrock-X`` goes with the ``coadd-X`` beside it.

    A redrock file is looked for beside its coadd even if it was not named; one whose coadd was not
    named is a candidate by itself, to be refused with a reason.
    """
    given = set(urls)
    taken: set[str] = set()
    candidates: list[Candidate] = []
    for url in urls:
        redshift_url = ""
        if name_of(url).startswith("coadd-"):
            options = redrock_names(url)
            redshift_url = next((option for option in options if option in given), "") or next(
                (option for option in options if kind_of(option) == "file"), ""
            )
        taken.add(redshift_url)
        candidates.append(Candidate(url, redshift_url))
    return [candidate for candidate in candidates if candidate.url not in taken]


def redrock_names(coadd: str) -> tuple[str, ...]:
    """Where the redrock file of a coadd may be: beside it, compressed or not."""
    stem = name_of(coadd).removeprefix("coadd-").removesuffix(".gz")
    base = f"{directory_of(coadd)}/redrock-{stem}"
    return base, f"{base}.gz"


def _pair_listed(urls: Sequence[str]) -> list[Candidate]:
    """:func:`pair` for files of a full listing: what is not in it does not exist."""
    given = set(urls)
    candidates = [
        Candidate(url, next((option for option in redrock_names(url) if option in given), ""))
        if name_of(url).startswith("coadd-")
        else Candidate(url, "")
        for url in urls
    ]
    taken = {candidate.redshift_url for candidate in candidates}
    return [candidate for candidate in candidates if candidate.url not in taken]


def _subdirectory(root: str, *names: str) -> str:
    """The first of the subdirectories that exists, or empty text."""
    return next((f"{root}/{name}" for name in names if kind_of(f"{root}/{name}") == "directory"), "")


def _healpix_base(root: str) -> str:
    """The directory of healpix coadds in a production: ``spectra`` from DR3 on, ``healpix`` before."""
    healpix = _subdirectory(root, "healpix")
    surveys = ("main", "special", "cmx", "sv1", "sv2", "sv3")
    later = _subdirectory(root, *(f"spectra/{survey}" for survey in surveys))
    return healpix or directory_of(later)


def _tiles_base(root: str) -> str:
    return _subdirectory(root, "tiles/cumulative", "cumulative")


def _spec_base(root: str) -> str:
    """The directory of spectra in an SDSS reduction: lite files before full, daily coadds before epoch."""
    return _subdirectory(
        root, "spectra/lite", "spectra/daily/lite", "spectra/epoch/lite", "spectra/full", "lite", "full"
    )


def _find_healpix(root: str) -> list[Candidate]:
    return _pair_listed([url for url in files_below(_healpix_base(root) or root) if _HEALPIX.search(url)])


def _find_tiles(root: str) -> list[Candidate]:
    urls = [url for url in files_below(_tiles_base(root) or root) if _TILES.search(url)]
    return _mark_superseded(_pair_listed(urls))


def _mark_superseded(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Of a tile and petal coadded through several nights only the last counts: it contains the others."""
    last: dict[tuple[str, str], str] = {}
    for candidate in candidates:
        if match := _THROUGH.match(candidate.url):
            last[match[1], match[2]] = max(last.get((match[1], match[2]), ""), candidate.url)
    marked: list[Candidate] = []
    for candidate in candidates:
        match = _THROUGH.match(candidate.url)
        latest = last[match[1], match[2]] if match else candidate.url
        marked.append(candidate if latest == candidate.url else replace(candidate, superseded_by=latest))
    return marked


def _find_spec(root: str) -> list[Candidate]:
    return [Candidate(url, "") for url in files_below(_spec_base(root) or root) if _SPEC.search(url)]


def _find_files(root: str) -> list[Candidate]:
    return _pair_listed(files_below(root))


DESI_HEALPIX = Scheme(
    "desi-healpix",
    "healpix/<survey>/<program>/<pixel//100>/<pixel>/coadd-<survey>-<program>-<pixel>.fits",
    _find_healpix,
)
DESI_TILES = Scheme(
    "desi-tiles",
    "tiles/cumulative/<tile>/<night>/coadd-<petal>-<tile>-thru<night>.fits",
    _find_tiles,
)
SDSS_SPEC = Scheme(
    "sdss-spec",
    "spectra/lite/<plate>/spec-<plate>-<mjd>-<fiber>.fits, or these in one directory",
    _find_spec,
)
FILES = Scheme("files", "FITS files of any name, each known by its content", _find_files)

SCHEMES: tuple[Scheme, ...] = (DESI_HEALPIX, DESI_TILES, SDSS_SPEC, FILES)


def recognise(root: str) -> tuple[Scheme, list[Candidate]]:
    """The layout of a directory, and its candidates.

    A production's own subdirectories settle it without a walk through everything else the production
    holds; where a DESI production has both, the healpix coadds are taken, which hold the same targets
    as the tiles. Otherwise all FITS files below are looked at by path.

    Raises
    ------
    ConfigurationError : the paths are those of two surveys.
    """
    desi = next(
        (scheme for scheme, base in ((DESI_HEALPIX, _healpix_base), (DESI_TILES, _tiles_base)) if base(root)),
        None,
    )
    if desi and _spec_base(root):
        raise two_grids(root, _counts(len(desi.find(root)), len(SDSS_SPEC.find(root))))
    for scheme in (desi, SDSS_SPEC if _spec_base(root) else None):
        if scheme and (candidates := scheme.find(root)):
            return scheme, candidates
    urls = files_below(root)
    desi_urls = [url for url in urls if name_of(url).startswith("coadd-")]
    sdss_urls = [url for url in urls if _SPEC.search(url)]
    if desi_urls and sdss_urls:
        raise two_grids(root, _counts(len(desi_urls), len(sdss_urls)))
    for scheme in (DESI_HEALPIX, DESI_TILES):
        # A coadd outside the scheme would be lost with it.
        if desi_urls and len(candidates := scheme.find(root)) >= len(desi_urls):
            return scheme, candidates
    if sdss_urls and len(sdss_urls) == len(urls):
        return SDSS_SPEC, SDSS_SPEC.find(root)
    return FILES, _pair_listed(urls)


def _counts(desi: int, sdss: int) -> str:
    return f"{desi} DESI coadd files, {sdss} SDSS spec files"


def two_grids(root: str, got: str) -> ConfigurationError:
    """The error for a release whose spectra do not share a grid."""
    return ConfigurationError(
        "The release holds spectra of two surveys, on two wavelength grids; one store has one grid.",
        where=root,
        got=got,
        allowed="files of one survey",
        remedy="Give the files or the directory of one survey, or name its layout with --layout "
        "(desi-healpix, desi-tiles or sdss-spec); the other survey goes into a store of its own.",
        kind="two-grids",
    )
