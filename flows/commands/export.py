"""Command that writes what a store holds for other programs: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.commands.selection import ALL_OUTLIERS, Selection


def export(
    store: str,
    where: str = "",
    /,
    *,
    hats: Path | None = None,
    spectra: Path | None = None,
    votable: Path | None = None,
    selection: Selection = ALL_OUTLIERS,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Write what a query finds for other programs: as a HATS catalogue, as spectra with maps, as a VOTable.

    whyspec export odd.zarr --status any --hats odd-hats

    whyspec export odd.zarr "tail < 1e-4" --top 100 --spectra odd-spectra

    whyspec export odd.zarr --top 100 --spectra odd-coadd.fits

    Give one of --hats, --spectra and --votable. The options that choose spectra are those of whyspec query.
    Nothing that exists is written over.

    Parameters
    ----------
    store
        Path or URL of the store.
    where
        Condition in names of columns, as whyspec query takes it; see docs/query.md.
    hats
        New directory for a HATS catalogue, which lsdb opens, searches and matches with others.
    spectra
        New directory for a FITS table of each explained spectrum with its maps, which specutils reads. Or, if
        the name ends in .fits, new file for all of them as a coadd of DESI.
    votable
        New file for a VOTable of any length.
    json
        Write what was done as JSON to standard output.
    """
    from engine.store.entries import RUN_SET
    from engine.store.reading import StoreView
    from flows.console import counting, messages, notes, write_json
    from flows.store.export import ExportTarget
    from flows.store.export_note import show_export

    target = ExportTarget.of(hats, spectra, votable)
    settings = selection.settings(where)
    view = StoreView.open(store).with_explanation(settings.explanation or RUN_SET)
    if settings.targets is not None:
        notes().print(str(settings.targets), soft_wrap=True)
    with counting(notes(), "export spectra") as progress:
        done = target.export(view, settings, progress)
    if json:
        write_json(done.to_dict())
    show_export(messages(json), done)
    return 0
