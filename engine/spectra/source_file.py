"""Source files: what a release is made of, as listed before any spectrum is read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.grid import WavelengthGrid

FILE_LIST = "file-list"
"""The layout of files that were given one by one: of what lies beside them it says nothing."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of spectra, with the file of its redshifts where the survey keeps them apart.

    Attributes
    ----------
    url : path or fsspec URL of the spectra.
    redshift_url : path or URL of the table of redshifts, which may be in ``url`` itself; empty for files of
        one spectrum, which need no such table.
    reader : name of the survey's reader that decodes it.
    spectra : number of spectra, from the header.
    fingerprint : hex digest of the content that matters, from published checksums or from size
        and FITS DATASUMs; covers both files.
    specprod, survey, program : as in the file's header or path; empty if unknown.
    key_prefix : what the keys of its spectra begin with; empty if neither name nor content says. No two files
        of a store that hold current spectra have the same.
    picked : the rows of the file that are read, ascending, where not all are; ``spectra`` is their number
        then, and ``of_spectra`` that of all.
    own_redshifts : (row of the file, redshift, class or empty text) where a user's table gives the redshift,
        by ascending row; own_class : class of all other spectra, empty for what the survey's pipeline says.
    """

    url: str
    redshift_url: str
    reader: str
    spectra: int
    fingerprint: str
    specprod: str
    survey: str
    program: str
    key_prefix: str
    picked: tuple[int, ...] = ()
    of_spectra: int = 0
    own_redshifts: tuple[tuple[int, float, str], ...] = ()
    own_class: str = ""

    @property
    def identity(self) -> str:
        """What versions of the same spectra have in common, wherever they lie."""
        return self.key_prefix or self.url

    @property
    def whole(self) -> SourceFile:
        """The file with all its spectra."""
        return replace(self, spectra=self.of_spectra, picked=(), of_spectra=0) if self.picked else self

    def runs(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Spectra ``start`` to ``stop`` as ranges ``[first, last)`` of rows of the file, ascending."""
        if not self.picked:
            return [(start, stop)]
        runs: list[tuple[int, int]] = []
        for row in self.picked[start:stop]:
            if runs and runs[-1][1] == row:
                runs[-1] = (runs[-1][0], row + 1)
            else:
                runs.append((row, row + 1))
        return runs


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that was quarantined or skipped: ``kind`` is a short code, ``reason`` the full text."""

    url: str
    kind: str
    reason: str

    @property
    def explained(self) -> list[str]:
        """The reason's parts: what is wrong, then what was found, what is allowed and the remedy."""
        return [line.strip() for line in self.reason.splitlines() if not line.startswith("  where: ")]


@dataclass(frozen=True)
class ReleaseListing:
    """What a release holds: its files in a fixed order, those refused, and the grid they share.

    Attributes
    ----------
    root : the release's directory; of files given one by one, the directory that holds them all.
    layout : name of the directory's layout, or :data:`FILE_LIST`.
    skipped : files that the release's catalogue names and that are not there (``not-on-disk``), and
        files whose spectra are in another one (``superseded``): nothing is wrong with these.
    """

    root: str
    layout: str
    grid: WavelengthGrid
    files: tuple[SourceFile, ...]
    refused: tuple[RefusedFile, ...]
    skipped: tuple[RefusedFile, ...] = ()

    @property
    def spectra(self) -> int:
        """Number of spectra in all files that were not refused."""
        return sum(file.spectra for file in self.files)
