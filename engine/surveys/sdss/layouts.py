"""SDSS reductions: one file per spectrum (``spec``), or per plate or field (``spPlate``, ``spField``).

Paths after https://data.sdss.org/datamodel and sdss/tree: to DR17 ``{run2d}/spectra/lite/{plate}/``, from
DR18 on a directory per field and MJD (``015000p/59187/``), from DR20 on below ``daily`` or ``epoch`` and a
directory per thousand fields (``112XXX/112360/60000/``). Plates are ``{run2d}/{plate}/spPlate-*.fits`` with
``{run1d}/spZbest-*.fits`` below; several MJDs of one plate are observations of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from engine.spectra.source_file import RefusedFile
from engine.surveys.directory import PACKINGS, directory_of, name_of, subdirectory, unpacked
from engine.surveys.layout import Candidate, Found, Layout
from models.errors import ErrorKind, QuarantineError

_SPEC = re.compile(r"/spec-[^/]+\.fits(?:\.[gf]z)?$")
_PLATE = re.compile(
    r"^(?P<directory>.*)/sp(?:Plate|Field)-(?P<which>[^/]+)-(?P<mjd>\d{5})\.fits(?:\.[gf]z)?$"
)
_BEST = re.compile(r"^(?P<directory>.*)/spZbest-(?P<which>[^/]+)-(?P<mjd>\d{5})\.fits(?:\.[gf]z)?$")
_LITE = ("spectra/lite", "spectra/daily/lite", "lite")
_FULL = ("spectra/full", "spectra/daily/full", "full")
_EPOCH = ("spectra/epoch/lite", "epoch/spectra/lite", "epoch/lite", "spectra/epoch/full", "epoch/full")
_NUMBER = re.compile(r"\d+")


def is_spectrum(url: str) -> bool:
    """Whether a URL is that of a file of one spectrum."""
    return _SPEC.search(url) is not None


def is_plate(url: str) -> bool:
    """Whether a URL is that of a file of a plate or field."""
    return _PLATE.match(url) is not None


def best_fit_urls(url: str) -> tuple[str, ...]:
    """Where the redshifts of a plate or field may be.

    ``spZbest-*`` beside it, or in a directory named after the reduction (RUN1D), which without a listing is
    taken to be that of the plate (RUN2D). A file of one spectrum holds its own.
    """
    directory, name = directory_of(url), name_of(url)
    if not name.startswith(("spPlate-", "spField-")):
        return ()
    best = f"spZbest-{unpacked(name).split('-', 1)[1]}"
    run2d = name_of(directory_of(directory))
    places = (f"{directory}/{run2d}/{best}", f"{directory}/{best}")
    return tuple(f"{place}{end}" for place in places for end in ("", *PACKINGS))


def of_reduction(root: str) -> tuple[Layout, ...]:
    """The layouts of a reduction, known by its directories of spectra: plates go before single spectra,
    which are the same spectra in a thousand times as many files.
    """
    return (SDSS_PLATE, SDSS_SPEC) if SDSS_SPEC.base(root) else ()


def _below(*names: str) -> Callable[[str], str]:
    return lambda root: subdirectory(root, *names)


def _select_spectra(_base: str, urls: Sequence[str]) -> Found:
    """Every spectrum once: of one that is there lite and full the lite file."""
    spectra = [url for url in urls if _SPEC.search(url)]
    given = set(spectra)
    twice = {
        url: lite for url in spectra if (lite := url.replace("/full/", "/lite/")) != url and lite in given
    }
    return Found(
        tuple(Candidate(url, "") for url in spectra if url not in twice),
        tuple(_same_spectrum(url, lite) for url, lite in twice.items()),
    )


def _same_spectrum(url: str, lite: str) -> RefusedFile:
    reason = QuarantineError(
        "A smaller file holds the same spectrum.",
        where=url,
        got=f"the same spectrum as {lite}",
        remedy="Nothing to do. To read the full files instead, name the layout sdss-spec-full.",
        kind=ErrorKind.SUPERSEDED,
    )
    return RefusedFile(url, reason.kind, str(reason))


def _select_plates(_base: str, urls: Sequence[str]) -> Found:
    """Each plate with its redshifts: of several reductions in one dimension (RUN1D) the one of the same
    name as that of the spectra (RUN2D), else the highest, else a file beside the plate.
    """
    best: dict[tuple[str, str], list[str]] = {}
    for url in urls:
        if match := _BEST.match(url):
            best.setdefault((match["which"], match["mjd"]), []).append(url)
    candidates = []
    for url in urls:
        if match := _PLATE.match(url):
            near = [
                other
                for other in best.get((match["which"], match["mjd"]), ())
                if match["directory"] in (directory_of(other), directory_of(directory_of(other)))
            ]
            rank = partial(_rank, match["directory"])
            candidates.append(Candidate(url, max(near, key=rank, default="")))
    return Found(tuple(candidates))


def _rank(plate: str, best: str) -> tuple[bool, bool, tuple[int, ...], str]:
    """Sorts reductions: a directory named after a part of the plate's path is that of RUN2D itself."""
    run1d = name_of(directory_of(best))
    below = directory_of(best) != plate
    return below, below and run1d in plate.split("/"), tuple(map(int, _NUMBER.findall(run1d))), best


_SKIPPED = frozenset({"spectra", "extra", "flat", "images", "logs"})

SDSS_PLATE = Layout(
    "sdss-plate",
    "<run2d>/<plate>/spPlate-<plate>-<mjd>.fits with <run1d>/spZbest-<plate>-<mjd>.fits, or spField",
    lambda _root: "",
    _select_plates,
    fits=lambda found, _urls: bool(found.candidates),
    skip=_SKIPPED,
)
SDSS_SPEC = Layout(
    "sdss-spec",
    "spectra/lite/<plate>/spec-<plate>-<mjd>-<fiber>.fits (daily from DR20 on), or these in one directory",
    # Of one spectrum in several files: lite before full, daily before epoch.
    _below(*_LITE, *_FULL, *_EPOCH),
    _select_spectra,
    fits=lambda _found, urls: all(map(is_spectrum, urls)),
)
SDSS_FULL = Layout(
    "sdss-spec-full",
    "spectra/full/<plate>/spec-<plate>-<mjd>-<fiber>.fits",
    _below(*_FULL),
    _select_spectra,
)
SDSS_EPOCH = Layout(
    "sdss-spec-epoch",
    "spectra/epoch/lite/<thousand>/<field>/<mjd>/spec-<field>-<mjd>-<catalogid>.fits",
    _below(*_EPOCH),
    _select_spectra,
)
