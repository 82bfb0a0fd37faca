"""A survey: one value that holds all that the program knows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.spectra.source_file import SourceFile
from engine.surveys.layout import Candidate, Layout
from engine.surveys.reader import Reader
from engine.surveys.single_reader import SingleReader
from engine.surveys.viewer_list import ListedSpectrum, list_of_keys
from models.grid import WavelengthGrid

Range = tuple[float, float]

CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"galaxy": ("GALAXY",), "quasar": ("QSO",), "star": ("STAR",)}
)
"""Spectral classes by population, as redrock and idlspec2d call them."""


def target_key(prefix: str, target_id: int, source_row: int) -> str:
    """``prefix/target_id``; without a target its place in the file, ``#source_row``, too."""
    key = f"{prefix}/{target_id}"
    return key if target_id > 0 else f"{key}#{source_row}"


@dataclass(frozen=True, slots=True)
class ObservedMark:
    """A range of observed vacuum wavelengths in Angstrom where something else than the object may be odd.

    ``name`` says what is there; ``source`` whether sky and air or the instrument put it there.
    """

    name: str
    first: float
    last: float
    source: Literal["sky", "instrument"]


@dataclass(frozen=True, slots=True)
class ViewerLink:
    """A link to a public viewer of sky or spectrum."""

    name: str
    url: str


@dataclass(frozen=True)
class FirstBytes:
    """How files whose checksums are published are described without a scan of their headers.

    Attributes
    ----------
    size : so many bytes are read of the beginning of a file.
    describe : called with the file, its first bytes and the published SHA-256 of it and, if there is one,
        of its redshift file; None where they do not suffice.
    """

    size: int
    describe: Callable[[Candidate, bytes, tuple[str, ...]], SourceFile | None]


@dataclass(frozen=True)
class Survey:
    """A survey.

    Attributes
    ----------
    name : short; title : for people.
    files : names of its files, for people; file_noun : what they are called in a count of them.
    readers : of its files, in the order in which they are asked whether a file is theirs.
    single_readers : of files of which one spectrum can be explained, but which no run takes.
    is_spectra_file : whether a path or URL is by its name that of a file of spectra.
    redshift_urls : where the redshifts of a file of spectra may be, the likeliest first; nowhere where it
        holds its own.
    layouts : in the order in which they are preferred.
    production_layouts : the layouts to try in a production's root, known by its subdirectories alone; none
        where it is no production of this survey. Without this all files below a directory are listed.
    first_bytes : see :class:`FirstBytes`; None where the survey publishes no checksums.
    key_columns : the columns of a row that name its spectrum.
    key : the spectrum key, made of the prefix that its file gives to keys and of their values. A key with a
        ``#`` names a place in a file, of which there is no object.
    identifier_names : what tables call its ``target_id``, in lower case, the first that is there counts.
    joint_name : columns of a row, whole numbers, that name its spectrum together, each with what tables call
        it. In a text a hyphen stands between the numbers.
    object_column : the column that is positive and equal in all spectra of an object; empty where only
        their positions tell.
    unsigned_identifiers : whether catalogues have ``target_id`` as an unsigned number of 64 bits; rows hold
        these bits as a signed one.
    classes : what the survey's pipeline calls the spectral classes, by population.
    coverage : least and largest wavelength, in Angstrom, of every spectrum whose row names this survey in
        its column ``survey``; None for all of the grid.
    joined_band : band that holds all arms in a file of coadds; empty where its files are of another form.
    arm_edges : observed wavelengths, Angstrom, at which an arm of the spectrograph ends and the next begins.
    observed_marks : where its instrument, not the object, tends to make spectra odd.
    viewer_links : pages of the spectrum of a key.
    viewer_list : spectra as its viewers take a list of them.
    """

    name: str
    title: str
    files: str
    readers: tuple[Reader[Any], ...]
    is_spectra_file: Callable[[str], bool]
    key_columns: tuple[str, ...]
    key: Callable[..., str]
    file_noun: str = "files"
    single_readers: tuple[SingleReader, ...] = ()
    redshift_urls: Callable[[str], tuple[str, ...]] = lambda _url: ()
    layouts: tuple[Layout, ...] = ()
    production_layouts: Callable[[str], tuple[Layout, ...]] = lambda _root: ()
    first_bytes: FirstBytes | None = None
    identifier_names: tuple[str, ...] = ()
    joint_name: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    object_column: str = ""
    unsigned_identifiers: bool = False
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: CLASSES)
    coverage: Callable[[str], Range] | None = None
    joined_band: str = ""
    arm_edges: tuple[float, ...] = ()
    observed_marks: tuple[ObservedMark, ...] = ()
    viewer_links: Callable[[str], Sequence[ViewerLink]] = lambda _key: ()
    viewer_list: Callable[[Sequence[ListedSpectrum]], str] = list_of_keys

    @property
    def grids(self) -> tuple[WavelengthGrid, ...]:
        """The grids of its readers, each once."""
        return tuple(dict.fromkeys(reader.grid for reader in self.readers))

    def classes_of(self, population: str) -> tuple[str, ...]:
        """What its pipeline calls the spectral classes of a population; empty for all classes."""
        return self.classes.get(population, ())

    def keys(self, prefix: str, rows: NDArray[np.void]) -> list[str]:
        """The spectrum key of every row of a file, from the file's prefix and its key columns."""
        columns = [rows[name].tolist() for name in self.key_columns]
        return [self.key(prefix, *values) for values in zip(*columns, strict=True)]
