"""The layouts there are, and which of them a directory has.

A release has one layout. Where a tree holds several forms of the same spectra the choice is fixed, and
``--layout`` overrules it: DESI's coadds by pixel go before those by tile, SDSS's plates before single
spectra (the same spectra in a thousandth of the files), of these lite before full and daily before epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.files.byte_source import is_local
from engine.surveys.desi.healpix_layout import DESI_HEALPIX, DESI_UNIQPIX
from engine.surveys.desi.tiles_layout import DESI_TILES
from engine.surveys.directory import DEEPEST, SUFFIXES, directory_of, files_below, name_of
from engine.surveys.fingerprint import PublishedChecksums
from engine.surveys.pairing import pair_listed
from engine.surveys.scheme import SUMS, Found, Scheme
from engine.surveys.sdss.layouts import (
    SDSS_EPOCH,
    SDSS_FULL,
    SDSS_PLATE,
    SDSS_SPEC,
    is_plate,
    is_spectrum,
)
from models.errors import ConfigurationError, ErrorKind

FILES = Scheme(
    "files",
    "FITS files of any name, each known by its content",
    lambda _root: "",
    lambda _base, urls: Found(pair_listed(urls)),
    DEEPEST,
)

SCHEMES: tuple[Scheme, ...] = (
    DESI_HEALPIX, DESI_UNIQPIX, DESI_TILES, SDSS_PLATE, SDSS_SPEC, SDSS_FULL, SDSS_EPOCH, FILES,
)  # fmt: skip

_DESI = (DESI_HEALPIX, DESI_UNIQPIX, DESI_TILES)


def find(scheme: Scheme, root: str) -> Found:
    """What a directory holds in a layout: by its catalogue behind a URL, otherwise by listing.

    Raises
    ------
    InputError : a directory may not be read.
    RetryError : the disk or network failed.
    """
    base = scheme.base(root)
    if not is_local(root) and (found := scheme.foresee(base or root)) is not None:
        return found
    urls = files_below(base or root, (*SUFFIXES, SUMS), scheme.depth if base else DEEPEST, scheme.skip)
    return _select(scheme, base or root, urls)


def recognise(root: str) -> tuple[Scheme, Found]:
    """The layout of a directory, and what it holds.

    A production's own subdirectories settle it without a walk through everything else the production
    holds. Otherwise all FITS files below are looked at by path.

    Raises
    ------
    ConfigurationError : the paths are those of two surveys.
    InputError, RetryError : see :func:`find`.
    """
    desi = next((scheme for scheme in _DESI if scheme.base(root)), None)
    is_reduction = bool(SDSS_SPEC.base(root))
    if desi and is_reduction:
        raise two_grids(
            root, _counts(len(find(desi, root).candidates), len(find(SDSS_SPEC, root).candidates))
        )
    for scheme in [desi] if desi else [SDSS_PLATE, SDSS_SPEC] if is_reduction else []:
        if (found := find(scheme, root)).candidates:
            return scheme, found
    if not is_local(root):
        for scheme in (DESI_HEALPIX, DESI_UNIQPIX):
            if (foreseen := scheme.foresee(root)) is not None:
                return scheme, foreseen
    everything = files_below(root, (*SUFFIXES, SUMS))
    urls = [url for url in everything if not url.endswith(SUMS)]
    desi_urls = [url for url in urls if name_of(url).startswith("coadd-")]
    plates, spectra = [url for url in urls if is_plate(url)], [url for url in urls if is_spectrum(url)]
    if desi_urls and (plates or spectra):
        raise two_grids(root, _counts(len(desi_urls), len(plates) + len(spectra)))
    if desi_urls:
        for scheme in _DESI:
            found = _select(scheme, root, everything)
            skipped = {file.url for file in found.skipped}
            # A coadd outside the scheme would be lost with it.
            if len(found.candidates) + len(skipped & set(desi_urls)) >= len(desi_urls):
                return scheme, found
    if plates:
        return SDSS_PLATE, _select(SDSS_PLATE, root, everything)
    if spectra and len(spectra) == len(urls):
        return SDSS_SPEC, _select(SDSS_SPEC, root, everything)
    return FILES, _select(FILES, root, everything)


def two_grids(root: str, got: str) -> ConfigurationError:
    """The error for a release whose spectra do not share a grid."""
    return ConfigurationError(
        "The release holds spectra of two surveys, on two wavelength grids; one store has one grid.",
        where=root,
        got=got,
        allowed="files of one survey",
        remedy="Give the files or the directory of one survey, or name its layout with --layout "
        "(desi-healpix, desi-tiles or sdss-spec); the other survey goes into a store of its own.",
        kind=ErrorKind.TWO_GRIDS,
    )


def _select(scheme: Scheme, base: str, everything: Sequence[str]) -> Found:
    """What a layout takes of files that were listed, with the checksums that lie beside them."""
    found = scheme.select(base, [url for url in everything if not url.endswith(SUMS)])
    directories = {
        directory_of(url)
        for candidate in found.candidates
        for url in (candidate.url, candidate.redshift_url)
        if url
    }
    published = PublishedChecksums()
    published.load(
        [
            url
            for url in everything
            if url.endswith(SUMS) and name_of(url).startswith("redux_") and directory_of(url) in directories
        ],
        directories,
    )
    return replace(found, published=published)


def _counts(desi: int, sdss: int) -> str:
    return f"{desi} DESI coadd files, {sdss} SDSS files"
