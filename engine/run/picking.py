"""Picking: which spectra of a release a user's tables name, and which redshifts they give them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from engine.spectra.rows import Rows
from engine.spectra.source_file import RefusedFile, ReleaseListing, SourceFile
from engine.surveys.reading import open_spectra
from engine.surveys.row_names import KEY, Name, NamedBy, columns_of, shown_name
from models.errors import ErrorKind, InputError, QuarantineError

_AT_A_TIME = 8


@dataclass(frozen=True)
class Wanted:
    """What a run's own tables and options ask for.

    Attributes
    ----------
    targets : names of the spectra that are to be read, by what names them; None for all.
    redshifts : redshift and class (or empty text) by name, by what names them.
    own_class : class of the spectra without one in ``redshifts``; empty for the pipeline's.
    """

    targets: Mapping[NamedBy, Collection[Name]] | None = None
    redshifts: Mapping[NamedBy, Mapping[Name, tuple[float, str]]] = field(default_factory=dict)
    own_class: str = ""


@dataclass(frozen=True)
class Picked:
    """A listing with what was asked for, and the names that no spectrum of it has, in the tables' order."""

    listing: ReleaseListing
    targets_missing: tuple[Name, ...] = ()
    redshifts_missing: tuple[Name, ...] = ()


def picked(listing: ReleaseListing, wanted: Wanted) -> Picked:
    """The listing narrowed to the wanted spectra, its files given the wanted redshifts and class.

    For names the tables of every file are read. A file that cannot be read is refused.

    Raises
    ------
    InputError : none of the targets is in the release.
    RetryError : the disk or network is away.
    """
    if wanted.own_class:
        files = tuple(replace(file, own_class=wanted.own_class) for file in listing.files)
        listing = replace(listing, files=files)
    if wanted.targets is None and not wanted.redshifts:
        return Picked(listing)
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="picking") as pool:
        answers = list(pool.map(lambda file: _of_file(file, wanted), listing.files))
    found = [answer for answer in answers if isinstance(answer, _PickedFile)]
    refused = [answer for answer in answers if isinstance(answer, RefusedFile)]
    seen = {name for each in found for name in each.names}
    narrowed = replace(
        listing,
        files=tuple(each.file for each in found if each.file.spectra or wanted.targets is None),
        refused=tuple(sorted((*listing.refused, *refused), key=lambda file: file.url)),
    )
    if wanted.targets is not None and not narrowed.files:
        raise _none_found(listing, wanted.targets)
    return Picked(
        narrowed, _missing((wanted.targets or {}).values(), seen), _missing(wanted.redshifts.values(), seen)
    )


@dataclass(frozen=True)
class _PickedFile:
    """A file with its wanted spectra, and the names that they have in the tables."""

    file: SourceFile
    names: frozenset[Name]


def _of_file(file: SourceFile, wanted: Wanted) -> _PickedFile | RefusedFile:
    try:
        with open_spectra(file, 0, 0) as spectra:
            rows = spectra.rows(0, file.spectra)
    except QuarantineError as error:
        return RefusedFile(file.url, error.kind, str(error))
    names = {by: _names(rows, by) for by in {*wanted.redshifts, *(wanted.targets or ())}}
    seen: set[Name] = set()
    if wanted.targets is not None:
        keep: set[int] = set()
        for by, targets in wanted.targets.items():
            chosen = [row for row, name in enumerate(names[by]) if name in targets]
            keep.update(chosen)
            seen.update(names[by][row] for row in chosen)
        if len(keep) < file.spectra:
            file = replace(file, spectra=len(keep), picked=tuple(sorted(keep)), of_spectra=file.spectra)
    own: dict[int, tuple[float, str]] = {}
    for by, redshifts in wanted.redshifts.items():
        given = {row: redshifts[name] for row, name in enumerate(names[by]) if name in redshifts}
        own |= given
        seen.update(names[by][row] for row in given)
    # Rows that are not read need no redshift.
    read = set(file.picked) if file.of_spectra else own.keys()
    own_redshifts = tuple((row, *own[row]) for row in sorted(own) if row in read)
    return _PickedFile(replace(file, own_redshifts=own_redshifts), frozenset(seen))


def _names(rows: Rows, by: NamedBy) -> Sequence[Name]:
    if by == KEY:
        return rows.keys()
    columns: list[list[int]] = [rows[name].tolist() for name in columns_of(by)]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def _missing(tables: Collection[Collection[Name]], seen: set[Name]) -> tuple[Name, ...]:
    return tuple(name for table in tables for name in table if name not in seen)


def _none_found(listing: ReleaseListing, targets: Mapping[NamedBy, Collection[Name]]) -> InputError:
    names = [name for table in targets.values() for name in table]
    return InputError(
        "None of the targets is in the release.",
        where=listing.root,
        got=f"{len(names):,} targets, such as {', '.join(map(shown_name, names[:3]))}",
        allowed=f"targets of its {listing.spectra:,} spectra, by {' or '.join(targets)}",
        remedy="Give the release that has them, or a list of its targets.",
        kind=ErrorKind.TARGET_LIST,
    )
