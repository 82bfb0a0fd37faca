"""Pairs of spectra and known objects, by name or by position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.catalogue.reading import CatalogueTables
from engine.match.nearest import NearestObject
from engine.match.objects import KnownObjects
from engine.match.selected_spectra import SelectedSpectra
from engine.query.named_rows import by_column
from engine.query.query_columns import ROW
from engine.surveys.row_names import IDENTIFIER
from models.errors import ErrorKind, InputError


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which of a store's spectra are of which object; each spectrum is of one at most.

    Attributes
    ----------
    rows : (m,) rows of spectra, rising; objects : (m,) numbers of the objects.
    separation : (m,) arcsec; NaN of pairs by name.
    several : spectra with more than one object within the radius, of which the nearest counts.
    by_chance : spectra that have an object near when they are moved; None for pairs by name.
    without_position : spectra that could not be matched; 0 of pairs by name.
    """

    rows: NDArray[np.int64]
    objects: NDArray[np.int64]
    separation: NDArray[np.float64]
    several: int = 0
    by_chance: int | None = None
    without_position: int = 0


def pairs_of(
    tables: CatalogueTables, spectra: SelectedSpectra, known: KnownObjects, radius: float | None
) -> Pairs:
    """The pairs of the selected spectra.

    Parameters
    ----------
    radius : degrees; None where the objects have names.

    Raises
    ------
    InputError : none of the spectra has a position, and positions are asked for.
    StoreError : the store is damaged.
    """
    if known.ra is None or known.dec is None or radius is None:
        return _by_name(tables, spectra, known)
    return _by_position(tables, spectra, NearestObject(known.ra, known.dec, radius))


def _by_name(tables: CatalogueTables, spectra: SelectedSpectra, known: KnownObjects) -> Pairs:
    names = by_column(known.matched_by, known.names)
    columns = {name: pa.array(values) for name, values in names.items()}
    given = tables.register(pa.table({**columns, "object": np.arange(len(known))}))
    # Stored identifiers are signed, whatever the survey shows.
    stored = ["stored_id" if name == IDENTIFIER else name for name in names]
    same = " AND ".join(
        f"found.{ours} = given.{theirs}" for ours, theirs in zip(stored, names, strict=True)
    )  # fmt: skip
    found = tables.fetch(
        f"SELECT found.{ROW}, given.object FROM ({spectra.select(stored)}) AS found "
        f"JOIN {given} AS given ON {same} ORDER BY found.{ROW}",
        spectra.condition.parameters,
    )
    rows, objects = (found[name].to_numpy() for name in (ROW, "object"))
    return Pairs(rows, objects, np.full(len(rows), np.nan))


def _by_position(tables: CatalogueTables, spectra: SelectedSpectra, nearest: NearestObject) -> Pairs:
    rows, objects, separation = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    several = by_chance = without = total = 0
    for batch in tables.batches(spectra.select(("ra", "dec")), spectra.condition.parameters):
        number, ra, dec = (batch[name].to_numpy(zero_copy_only=False) for name in (ROW, "ra", "dec"))
        placed = np.isfinite(ra) & np.isfinite(dec)
        number, ra, dec = number[placed], ra[placed], dec[placed]
        near = nearest.of(ra, dec)
        rows.append(number[near.places])
        objects.append(near.objects)
        separation.append(near.separation * 3600)
        several += near.several
        by_chance += nearest.by_chance(ra, dec)
        without += len(placed) - len(number)
        total += len(placed)
    if total and without == total:
        raise InputError(
            "The store has no positions.",
            got=f"{total:,} spectra, none with right ascension and declination",
            allowed="spectra of files that say where they are",
            remedy="Match by name: leave --near out, or name the column with --id.",
            kind=ErrorKind.MATCH_TABLE,
        )
    every = np.concatenate(rows)
    order = np.argsort(every, kind="stable")
    return Pairs(
        every[order],
        np.concatenate(objects)[order],
        np.concatenate(separation)[order],
        several=several,
        by_chance=by_chance,
        without_position=without,
    )
