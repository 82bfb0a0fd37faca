"""Command on a store and a table of known objects: match."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def match(
    store: str,
    table: Path,
    where: str = "",
    /,
    *,
    near: str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    id_: Annotated[str | None, Parameter(name="--id")] = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    top: int | None = None,
    cone: Annotated[tuple[str, str, str] | None, Parameter(allow_leading_hyphen=True, negative=())] = None,
    moc: str | None = None,
    new: Annotated[bool, Parameter(negative=())] = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Compare a store with a table of known objects: which outliers are known, which are new.

    whyspec match odd.zarr lenses.fits --near 1arcsec --class type

    whyspec match odd.zarr known.csv --id TARGETID -o matched.parquet

    whyspec match odd.zarr known.csv --near 1arcsec --new -o new.csv

    For each class of the table it says how many objects the store has, and how many of them are outliers. It
    also says how much more often the class is among the oddest spectra than among as many drawn from all.

    Parameters
    ----------
    store
        Path or URL of the store.
    table
        Table of known objects: FITS, Parquet, VOTable, ECSV, CSV.
    where
        Condition on the spectra that are looked at, as of a query, such as "z < 0.3 and zwarn = 0".
    near
        Match by position, within this radius with its unit, such as 1arcsec. Default: by name.
    ra
        Column of right ascensions. Default: by usual names.
    dec
        Column of declinations. Default: by usual names.
    id_
        Column of TARGETIDs, SPECOBJIDs, keys or PLATE-MJD-FIBER. Default: by usual names.
    class_
        Column of classes.
    top
        How many of the oddest spectra are compared with as many drawn from all. Default: as many as outliers.
        With --new: at most so many outliers.
    cone
        Spectra in this cone alone: right ascension, declination and radius, such as 150.1 2.2 1deg.
    moc
        Spectra in this region alone: file of a MOC (FITS, ASCII, JSON), or the MOC itself: "5/1-3 7".
    new
        List the outliers that match nothing, instead of the matched spectra.
    output
        File for these spectra; its end says the format: .csv, .json, .parquet, .fits, .vot, .ecsv, .txt.
    json
        Write the numbers as JSON to standard output.
    """
    from engine.match.match import match as match_store
    from engine.match.settings import MatchSettings
    from engine.query.conditions.moc import read_moc
    from engine.query.conditions.near import parse_cone, parse_radius
    from engine.query.table_formats import chosen_table_format, write_table
    from engine.store.reading import StoreView
    from flows import option_types
    from flows.console import count, messages, notes, write_json
    from flows.store.match_table import show_match
    from models.output_files import check_output

    table_format = chosen_table_format(output)
    if output is not None:
        check_output(output)
    names = (("--ra", ra), ("--dec", dec), ("--id", id_), ("--class", class_))
    columns = ["" if text is None else option_types.not_empty(option, text) for option, text in names]
    settings = MatchSettings(
        None if near is None else parse_radius(near),
        ra=columns[0],
        dec=columns[1],
        id_column=columns[2],
        class_column=columns[3],
        where=where,
        cone=parse_cone(*cone) if cone is not None else None,
        moc=read_moc(moc) if moc is not None else None,
        top=top,
    )
    found = match_store(StoreView.open(store), table, settings)
    if json:
        write_json(found.summary.to_dict())
    listed = new and output is None and not json
    show_match(messages(json or listed), store, found.summary)
    if listed or output is not None:
        frame = found.new() if new else found.matched()
        write_table(frame, table_format, output)
        if output is not None:
            notes().print(f"{count(len(frame), 'row')}: {output}", soft_wrap=True)
    return 0
