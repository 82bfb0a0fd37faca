"""Exposure table of a DESI coadd: which fibre saw a target in which exposure, from EXP_FIBERMAP.

A coadd has one row per target and exposure there, also of exposures that were left out of the coadd. An
:class:`engine.spectra.exposure_remarks.ExposureRemark` says what is missing or odd in it; nothing is fatal.
Columns: https://desidatamodel.readthedocs.io.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.files.fits_file import UNDEFINED, FitsFile
from engine.spectra.exposure_remarks import ExposureRemark

EXPOSURES = "EXP_FIBERMAP"
"""Name of the HDU."""

LISTED = ("TILEID", "NIGHT", "EXPID", "FIBER", "PETAL_LOC")
"""Columns in the list of a target's exposures, in order."""

FIBERMAP_COLUMNS = ("COADD_NUMEXP", "TILEID", "FIBER", "PETAL_LOC")
"""Columns of FIBERMAP that say how a target was observed; only coadds by tile have the last three."""

_LARGEST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class ExposureTable:
    """The exposures of a coadd's targets.

    Attributes
    ----------
    target_id : (n,) of the targets that are listed, ascending.
    columns : columns of rows by name, (n,) each.
    remark : bits of a target that is not listed.
    """

    target_id: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]
    remark: int

    @classmethod
    def of(cls, file: FitsFile, targets: NDArray[np.int64]) -> ExposureTable:
        """Read that of some targets from an open coadd.

        A table that is missing, or does not tell targets apart, counts as empty.
        """
        unit = file.unit(EXPOSURES) if EXPOSURES in file else None
        column = unit.columns.get("TARGETID") if unit is not None else None
        if unit is None or column is None or not column.is_integer:
            return cls.of_columns({"TARGETID": np.empty(0, np.int64)}, int(ExposureRemark.NO_TABLE))
        whole = [name for name in LISTED if name in unit.columns and unit.columns[name].is_integer]
        table = file.columns(unit, ("TARGETID", *whole), 0, unit.rows)
        wanted = np.isin(table["TARGETID"], targets)
        table = {name: values[wanted] for name, values in table.items()}
        return cls.of_columns(table, int(ExposureRemark.NO_COLUMN) if len(whole) < len(LISTED) else 0)

    @classmethod
    def of_columns(cls, table: Mapping[str, NDArray[Any]], remark: int) -> ExposureTable:
        """The same from columns of the table; those that it lacks are unknown."""
        every = table["TARGETID"].astype(np.int64)
        listed = np.full((len(every), len(LISTED)), UNDEFINED, dtype=np.int64)
        for place, name in enumerate(LISTED):
            if name in table:
                listed[:, place] = known(table[name])
        tile, night, exposure, fiber, petal = listed.T
        # Pairs of numbers in one: fewer keys sort faster.
        order = np.lexsort((petal, tile << 32 | fiber + 1, night << 32 | exposure + 1, every))
        every, listed = every[order], listed[order]
        again = np.zeros(len(every), dtype=bool)
        again[1:] = (every[1:] == every[:-1]) & (listed[1:] == listed[:-1]).all(axis=1)
        repeated = np.unique(every[again])
        every, listed = every[~again], listed[~again]
        target_id, start = np.unique(every, return_index=True)
        twice = np.where(np.isin(target_id, repeated), int(ExposureRemark.LISTED_TWICE), 0)
        columns = {**_columns(every, listed, start), "exposure_remarks": twice | remark}
        return cls(target_id, columns, remark or int(ExposureRemark.NOT_LISTED))

    def fill(self, data: NDArray[np.void], fibermap: Mapping[str, NDArray[Any]]) -> None:
        """Fill the columns of rows that say how their targets were observed.

        Parameters
        ----------
        data : rows whose ``target_id`` is known.
        fibermap : the columns :data:`FIBERMAP_COLUMNS` of the same rows, as far as FIBERMAP has them.
        """
        data["exposure_remarks"] = self.remark
        if "TILEID" in fibermap:
            data["tiles"] = [_tiles((tile,)) for tile in known(fibermap["TILEID"]).tolist()]
        for name, column in (("fiber", "FIBER"), ("petal", "PETAL_LOC")):
            if column in fibermap:
                data[name] = known(fibermap[column])
        if len(self.target_id):
            place = np.minimum(np.searchsorted(self.target_id, data["target_id"]), len(self.target_id) - 1)
            found = self.target_id[place] == data["target_id"]
            for name, values in self.columns.items():
                data[name][found] = values[place[found]]
        if "COADD_NUMEXP" in fibermap:
            data["exposure_count"] = known(fibermap["COADD_NUMEXP"])


def known(values: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers of things, -1 where there cannot be one of that number."""
    return np.where((values < 0) | (values > _LARGEST), UNDEFINED, values).astype(np.int64)


def _columns(
    target_id: NDArray[np.int64], listed: NDArray[np.int64], start: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Columns of targets from their exposures, those of one target from ``start`` on and by time."""
    stop = np.append(start, len(listed))[1:]
    fiber, petal = _most_frequent(target_id, listed)
    # One text of all exposures takes half the time of one text each.
    texts = ("%d/%d/%d/%d/%d " * len(listed) % tuple(listed.ravel().tolist())).split()
    tiles = listed[:, LISTED.index("TILEID")].tolist()
    bounds = [*start.tolist(), len(listed)]
    return {
        "fiber": fiber,
        "petal": petal,
        "tiles": _texts([_tiles(tuple(tiles[first:last])) for first, last in pairwise(bounds)]),
        "night_first": listed[start, LISTED.index("NIGHT")],
        "night_last": listed[stop - 1, LISTED.index("NIGHT")],
        "exposure_count": stop - start,
        "exposures": _texts([" ".join(texts[first:last]) for first, last in pairwise(bounds)]),
    }


def _most_frequent(
    target_id: NDArray[np.int64], listed: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Fibre and petal of most exposures of each target, of equals the lowest; targets are ascending."""
    fiber, petal = (listed[:, LISTED.index(name)] for name in ("FIBER", "PETAL_LOC"))
    order = np.lexsort((fiber << 32 | petal + 1, target_id))
    group = np.stack([target_id[order], fiber[order], petal[order]])
    changes = np.append(np.ones(1, bool), (group[:, 1:] != group[:, :-1]).any(axis=0))
    first = np.flatnonzero(changes[: len(order)])
    length = np.diff(np.append(first, len(order)))
    # Stable: of groups of equal length the one of the lowest fibre comes first.
    ranked = first[np.lexsort((-length, group[0, first]))]
    chosen = ranked[np.unique(group[0, ranked], return_index=True)[1]]
    return group[1, chosen], group[2, chosen]


def _texts(texts: list[str]) -> NDArray[np.object_]:
    values = np.empty(len(texts), dtype=object)
    values[:] = texts
    return values


@lru_cache(maxsize=4096)
def _tiles(tiles: tuple[int, ...]) -> str:
    return " ".join(map(str, sorted(set(tiles) - {UNDEFINED})))
