"""A layout: how a release's files lie in directories, and what is found by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.spectra.source_file import RefusedFile
from engine.surveys.fingerprint import PublishedChecksums


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to look into, with its redshift file or empty text."""

    url: str
    redshift_url: str


@dataclass(frozen=True)
class Found:
    """What a layout found in a directory.

    Attributes
    ----------
    candidates : files to look into, in the order of their URLs.
    skipped : files that are known of but not wanted, or not there; each with the reason.
    published : the checksums that the release publishes, already read.
    unseen : what could not be looked into, each with the reason.
    """

    candidates: tuple[Candidate, ...]
    skipped: tuple[RefusedFile, ...] = ()
    published: PublishedChecksums = field(default_factory=PublishedChecksums)
    unseen: tuple[RefusedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """How a release's files lie in directories.

    Attributes
    ----------
    name : as ``--layout`` takes it; shape : for people.
    base : the subdirectory of a production's root that has this layout, or empty text.
    select : what there is among files below a directory; called with the directory and their URLs.
    fits : whether a directory has this layout; called with what ``select`` took of the FITS files below
        it, and with their URLs. ``None`` for a layout that only ``--layout`` chooses.
    skip : names of directories that are not looked into.
    from_catalogue : what the release's catalogue says without a listing, for trees that are not on this
        machine; ``None`` where there is no catalogue.
    """

    name: str
    shape: str
    base: Callable[[str], str]
    select: Callable[[str, Sequence[str]], Found]
    fits: Callable[[Found, Sequence[str]], bool] | None = None
    skip: frozenset[str] = frozenset()
    from_catalogue: Callable[[str], Found | None] = lambda _base: None
