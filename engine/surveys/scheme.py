"""What a layout is made of: files to look into, files skipped, and how a tree is searched for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.spectra.source_file import RefusedFile
from engine.surveys.fingerprint import PublishedChecksums

SUMS = ".sha256sum"
"""How names of files of published checksums end."""


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
    """

    candidates: tuple[Candidate, ...]
    skipped: tuple[RefusedFile, ...] = ()
    published: PublishedChecksums = field(default_factory=PublishedChecksums)


@dataclass(frozen=True, slots=True)
class Scheme:
    """A layout.

    Attributes
    ----------
    name : as ``--layout`` takes it; shape : for people.
    base : the subdirectory of a production's root that has this layout, or empty text.
    select : what there is among files found below a directory; called with the directory and their URLs.
    depth : how many directories deep files lie below ``base``.
    skip : names of directories that are not looked into.
    foresee : what a catalogue says without listing anything, for trees that are not on this machine;
        ``None`` where there is no catalogue.
    """

    name: str
    shape: str
    base: Callable[[str], str]
    select: Callable[[str, list[str]], Found]
    depth: int
    skip: frozenset[str] = frozenset()
    foresee: Callable[[str], Found | None] = lambda _base: None
