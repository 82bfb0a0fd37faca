"""Listing of a release: its files, paired with their redshifts, each described or refused with a reason."""

from __future__ import annotations

import itertools
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.files.byte_source import is_local
from engine.spectra.source_file import FILE_LIST, RefusedFile, ReleaseListing, SourceFile
from engine.surveys.copies import each_once, unpacked_first
from engine.surveys.directory import absolute, directory_of, files_below, kind_of
from engine.surveys.inspection import Progress, inspect_all
from engine.surveys.layout import Candidate, Found
from engine.surveys.pairing import pair
from engine.surveys.recognition import FILES, find, layouts, recognise, several_surveys
from engine.surveys.surveys import files_of_surveys, reader_of, redshift_urls
from models.credentials import refuse_credentials
from models.errors import ErrorKind, InputError, QuarantineError, RetryError
from models.grid import WavelengthGrid
from models.secrets import escaped, redacted_url


def list_release(
    release: Sequence[str],
    layout: str = "",
    progress: Progress | None = None,
    known: Mapping[str, SourceFile] | None = None,
) -> ReleaseListing:
    """List the spectra of a release without reading them.

    Parameters
    ----------
    release : one directory (path or fsspec URL), or one or more FITS files.
    layout : name of the directory's layout; recognised from the tree when empty.
    progress : called with the number of files looked at.
    known : files by URL as they were when they were last listed; those whose published checksums have not
        changed since are not opened.

    Returns
    -------
    The files in the order of their URLs, no two with the same spectra, and those that were refused: a bad
    file never stops a listing.

    Raises
    ------
    InputError : nothing given, a URL with credentials, a path that does not exist, an unknown layout, or
        nothing to read there.
    ConfigurationError : files of two surveys: one store has one grid.
    RetryError : the disk or network failed for every file.
    """
    refuse_credentials(*release)
    root, name, found = _find(release, layout)
    candidates, not_storable = _storable(found.candidates)
    unpacked, packed = unpacked_first(candidates)
    files, refused = inspect_all(unpacked, found.published, known or {}, progress)
    files, copies, conflicting = each_once(files, known or {})
    refused += [*not_storable, *found.unseen, *conflicting]
    if not files and refused and all(file.kind == RetryError.default_kind for file in refused):
        raise RetryError(
            "No file of the release could be read.",
            where=root,
            got=refused[0].reason,
            remedy="The fault often passes by itself; if not, check the disk, the network and the "
            "credentials.",
        )
    if not files:
        raise _nothing_usable(root, refused)
    grid = _one_grid(files, root)
    skipped = [replace(file, url=escaped(redacted_url(file.url))) for file in found.skipped]
    return ReleaseListing(root, name, grid, tuple(files), tuple(refused), (*skipped, *packed, *copies))


def _nothing_usable(root: str, refused: Sequence[RefusedFile]) -> InputError:
    """The error of a release without a file to read; it says why the first was refused."""
    got, remedy = "no FITS file", "Check the path."
    if refused:
        what, *details = refused[0].explained
        said = dict(detail.split(": ", 1) for detail in details)
        counts = "; ".join(f"{count} {kind}" for kind, count in _count(refused))
        found = f" ({said['got']})" if "got" in said else ""
        got = f"{counts}; {refused[0].url}: {what}{found}"
        remedy = said.get("remedy", remedy)
    return InputError(
        "There is no file of spectra that can be used.",
        where=root,
        got=got,
        allowed=files_of_surveys(),
        remedy=remedy,
        kind=ErrorKind.NOTHING_USABLE,
    )


def _find(release: Sequence[str], layout: str) -> tuple[str, str, Found]:
    if not release:
        raise InputError(
            "No release was given.",
            allowed="one directory or URL, or one or more FITS files",
            remedy="Name the directory of the release.",
            kind=ErrorKind.NO_RELEASE,
        )
    named = {each.name: each for each in layouts()}
    if layout and layout not in named:
        raise InputError(
            "There is no such layout.",
            got=layout,
            allowed=", ".join(named),
            remedy="Name one of these, or leave --layout out: whyspec then recognises it.",
            kind=ErrorKind.UNKNOWN_LAYOUT,
        )
    urls = sorted({absolute(url) for url in release})
    kinds = {url: kind_of(url) for url in urls}
    missing = [url for url, kind in kinds.items() if not kind]
    if missing:
        raise InputError(
            "A path of the release does not exist.",
            where=missing[0],
            got=f"{len(missing)} of {len(urls)} paths are missing" if len(missing) > 1 else "nothing there",
            remedy="Check the spelling, and that the disk or bucket is reachable from here.",
            kind=ErrorKind.MISSING_PATH,
        )
    directories = [url for url, kind in kinds.items() if kind == "directory"]
    if not directories:
        if layout not in ("", FILES.name):
            raise InputError(
                "A layout describes a directory, not files.",
                got=f"{len(urls)} files and layout {layout}",
                allowed=FILES.name,
                remedy="Give the release's directory, or leave the layout out.",
                kind=ErrorKind.LAYOUT_OF_FILES,
            )
        return _common_root(urls), FILE_LIST, Found(pair(urls, redshift_urls))
    if len(urls) > 1:
        raise InputError(
            "A release is one directory or a list of files.",
            got=f"{len(directories)} directories and {len(urls) - len(directories)} files",
            allowed="one directory, or one or more files",
            remedy="Run each directory by itself (they can go into one store), or name the files.",
            kind=ErrorKind.SEVERAL_DIRECTORIES,
        )
    root = directories[0]
    chosen, found = (named[layout], find(named[layout], root)) if layout else recognise(root)
    if found.candidates:
        return root, chosen.name, found
    raise InputError(
        f"Nothing of the layout {layout} was found." if layout else "There is no FITS file in the directory.",
        where=root,
        got="an empty directory" if not files_below(root, ("",)).urls else "other files",
        allowed=", ".join(f"{each.name} ({each.shape})" for each in named.values()),
        remedy="Give the directory of a release, or the FITS files themselves"
        + (", or leave the layout out." if layout else "."),
        kind=ErrorKind.NOTHING_FOUND,
    )


def _storable(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[RefusedFile]]:
    """Candidates whose URLs may be stored, and the others.

    A server's index may hold signed links, and names on a disk are bytes that need not be text.
    """
    kept: list[Candidate] = []
    refused: list[RefusedFile] = []
    for candidate in candidates:
        try:
            refuse_credentials(candidate.url, candidate.redshift_url)
            _refuse_undecodable(candidate.url)
        except (InputError, QuarantineError) as error:
            refused.append(RefusedFile(escaped(redacted_url(candidate.url)), error.kind, str(error)))
        else:
            kept.append(candidate)
    return kept, refused


def _refuse_undecodable(url: str) -> None:
    if escaped(url) != url:
        raise QuarantineError(
            "The name of a file or of its directory is no text, so it cannot be stored.",
            where=url,
            allowed=f"names in {sys.getfilesystemencoding()}, the encoding of file names here",
            remedy="Rename it. If the name is UTF-8, unset PYTHONUTF8 or set LC_ALL=C.UTF-8.",
            kind=ErrorKind.FILE_NAME,
        )


def _one_grid(files: Sequence[SourceFile], root: str) -> WavelengthGrid:
    counts = Counter(file.reader for file in files)
    if len(counts) > 1:
        got = ", ".join(f"{count} files of {reader}" for reader, count in sorted(counts.items()))
        raise several_surveys(root, got)
    _, reader = reader_of(files[0].reader)
    return reader.grid


def _count(refused: Sequence[RefusedFile]) -> list[tuple[str, int]]:
    return Counter(file.kind for file in refused).most_common()


def _common_root(urls: Sequence[str]) -> str:
    if len(urls) == 1:
        return directory_of(urls[0])
    if all(is_local(url) for url in urls):
        return os.path.commonpath([directory_of(url) for url in urls])
    folders = [directory_of(url).split("/") for url in urls]
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))
    return "/".join(parts[0] for parts in shared)
