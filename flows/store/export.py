"""Export of a store: which writer makes which kind of file or directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.export.coadd import write_coadd
from engine.export.exported import Exported, Progress
from engine.export.hats import write_hats
from engine.export.spectrum_tables import write_spectrum_tables
from engine.export.votable import write_votable
from engine.query.settings import QuerySettings
from engine.store.reading import StoreView
from models.errors import ConfigurationError, ErrorKind
from models.output_files import check_new_output


@dataclass(frozen=True)
class ExportTarget:
    """A new file or directory, and what writes it."""

    path: Path
    write: Callable[[StoreView, QuerySettings, Path, Progress], Exported]

    @classmethod
    def of(cls, hats: Path | None, spectra: Path | None, votable: Path | None) -> ExportTarget:
        """The one that is given.

        Raises
        ------
        ConfigurationError : none is given, or several.
        InputError : there is something of that name, or it could not be written.
        """
        coadd = spectra is not None and spectra.suffix == ".fits"
        every = {
            "--hats": (hats, write_hats),
            "--spectra": (spectra, write_coadd if coadd else write_spectrum_tables),
            "--votable": (votable, write_votable),
        }
        given = {option: cls(path, write) for option, (path, write) in every.items() if path is not None}
        if len(given) != 1:
            raise ConfigurationError(
                "An export writes one kind of thing.",
                where="whyspec export",
                got=" and ".join(given) or "none of them",
                allowed=", ".join(every),
                remedy="Give one of these; run the command again for another.",
                kind=ErrorKind.OPTION,
            )
        (target,) = given.values()
        check_new_output(target.path)
        return target

    def export(self, view: StoreView, settings: QuerySettings, progress: Progress) -> Exported:
        """Write what a selection finds."""
        return self.write(view, settings, self.path, progress)
