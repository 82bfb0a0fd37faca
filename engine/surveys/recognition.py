"""Recognition of a release: which layout a directory has, and what it holds in it.

A release has one layout. Where a tree holds several forms of the same spectra, the survey prefers one
(its ``layouts`` are in that order), and ``--layout`` overrules it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.files.byte_source import is_local
from engine.spectra.source_file import RefusedFile
from engine.surveys.directory import SUFFIXES, FilesBelow, directory_of, files_below, name_of
from engine.surveys.fingerprint import PublishedChecksums
from engine.surveys.layout import Found, Layout
from engine.surveys.pairing import pair_listed
from engine.surveys.survey import Survey
from engine.surveys.surveys import SURVEYS, redshift_urls
from models.errors import ConfigurationError, ErrorKind, QuarantineError

FILES = Layout(
    "files",
    "FITS files of any name, each known by its content",
    lambda _root: "",
    lambda _base, urls: Found(pair_listed(urls, redshift_urls)),
    # Redrock's name for them; simulated releases have them beside their spectra.
    skip=frozenset({"redrock-templates"}),
)

_SUMS = ".sha256sum"
"""How names of files of published checksums end."""


def layouts() -> tuple[Layout, ...]:
    """The layouts there are: those of all surveys, then :data:`FILES`."""
    return (*(layout for survey in SURVEYS for layout in survey.layouts), FILES)


def find(layout: Layout, root: str) -> Found:
    """What a directory holds in a layout: by its catalogue behind a URL, otherwise by listing.

    Raises
    ------
    InputError : a directory may not be read.
    RetryError : the disk or network failed.
    """
    base = layout.base(root)
    if not is_local(root) and (found := layout.from_catalogue(base or root)) is not None:
        return found
    listed = files_below(base or root, (*SUFFIXES, _SUMS), layout.skip)
    return _with_what_else(layout.select(base or root, _without_sums(listed)), listed)


def recognise(root: str) -> tuple[Layout, Found]:
    """The layout of a directory, and what it holds.

    A production's own subdirectories settle it without a walk through everything else the production
    holds. Otherwise all FITS files below are looked at by path.

    Raises
    ------
    ConfigurationError : the paths are those of several surveys.
    InputError, RetryError : see :func:`find`.
    """
    productions = [(survey, tried) for survey in SURVEYS if (tried := survey.production_layouts(root))]
    if len(productions) > 1:
        shown = [(survey, next(each for each in tried if each.base(root))) for survey, tried in productions]
        raise several_surveys(
            root, _counts((survey, len(find(layout, root).candidates)) for survey, layout in shown)
        )
    for layout in (layout for _, tried in productions for layout in tried):
        if (found := find(layout, root)).candidates:
            return layout, found
    if not is_local(root):
        for layout in layouts():
            if (catalogued := layout.from_catalogue(root)) is not None:
                return layout, catalogued
    listed = files_below(root, (*SUFFIXES, _SUMS), FILES.skip)
    urls = _without_sums(listed)
    named = [(survey, count) for survey in SURVEYS if (count := sum(map(survey.is_spectra_file, urls)))]
    if len(named) > 1:
        raise several_surveys(root, _counts(named))
    for layout in (layout for survey, _ in named for layout in survey.layouts):
        if layout.fits is not None and layout.fits(found := layout.select(root, urls), urls):
            return layout, _with_what_else(found, listed)
    return FILES, _with_what_else(FILES.select(root, urls), listed)


def several_surveys(root: str, got: str) -> ConfigurationError:
    """The error for a release whose spectra do not share a grid."""
    return ConfigurationError(
        "The release holds spectra of several surveys, on several wavelength grids; one store has one grid.",
        where=root,
        got=got,
        allowed="files of one survey",
        remedy="Give the files or the directory of one survey, or name its layout with --layout "
        f"({', '.join(layout.name for layout in layouts() if layout is not FILES)}); another survey goes "
        "into a store of its own.",
        kind=ErrorKind.TWO_GRIDS,
    )


def _without_sums(listed: FilesBelow) -> list[str]:
    return [url for url in listed.urls if not url.endswith(_SUMS)]


def _with_what_else(found: Found, listed: FilesBelow) -> Found:
    """What was found, with the checksums beside its files, what lies outside and what could not be seen."""
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
            for url in listed.urls
            if url.endswith(_SUMS) and name_of(url).startswith("redux_") and directory_of(url) in directories
        ],
        directories,
    )
    outside = tuple(map(_outside, _not_taken(found, listed)))
    return replace(found, skipped=(*found.skipped, *outside), published=published, unseen=listed.unseen)


def _not_taken(found: Found, listed: FilesBelow) -> list[str]:
    """Files that are spectra by their names and that a layout neither takes nor skips."""
    taken = {file.url for file in found.candidates} | {file.url for file in found.skipped}
    return [
        url
        for url in listed.urls
        if url not in taken and any(survey.is_spectra_file(url) for survey in SURVEYS)
    ]


def _outside(url: str) -> RefusedFile:
    reason = QuarantineError(
        "The file's name or place is not one of the release's layout.",
        where=url,
        got=name_of(url),
        remedy="To read it too, name the layout files with --layout, or give the file itself.",
        kind=ErrorKind.OUTSIDE_LAYOUT,
    )
    return RefusedFile(url, reason.kind, str(reason))


def _counts(files: Iterable[tuple[Survey, int]]) -> str:
    return ", ".join(f"{count} {survey.title} {survey.file_noun}" for survey, count in files)
