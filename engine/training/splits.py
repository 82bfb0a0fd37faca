"""Splits of a training: objects for training, validation and calibration, by a hash of each object.

A split is the same in all releases. An object may have been observed more than once. Some surveys name it
(``Survey.object_column``). Others name spectra, not objects, and the positions of repeated observations agree
only roughly: there a cell of the sky stands for the object. A spectrum near a cell's border is in no split if
another observation of its object may lie in a cell of another split.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.spectra.rows import Rows
from engine.surveys.survey import Survey

CELL = 5.0 / 60.0
"""Height, and width in the middle, of a cell of the sky, in degrees."""

SAME_OBJECT = 3.0 / 3600.0
"""Positions closer than that, in degrees, may be of one object: the diameter of a fibre of SDSS-I."""

_KEY = b"whyspec training"


class Split(IntEnum):
    """The use of a spectrum in a training. Caches store the codes."""

    NONE = -1
    TRAINING = 0
    VALIDATION = 1
    CALIBRATION = 2


@dataclass(frozen=True)
class Objects:
    """The objects of n spectra.

    Attributes
    ----------
    number : (n,) uint64, equal for spectra of one object (in a sky cell: for all in it); its order is random.
    split : (n,) int8, :class:`Split`.
    """

    number: NDArray[np.uint64]
    split: NDArray[np.int8]


def objects(rows: Rows, survey: Survey, validation: float, calibration: float) -> Objects:
    """The object of every row and its split.

    Neither depends on other rows, on a seed or on where the files lie. So a release that grows keeps the
    splits of its objects, and models of several kinds or seeds can be compared on the same split.

    Parameters
    ----------
    survey : of all rows.
    validation, calibration : shares of the objects in these splits, 0 to 1 together.
    """
    data = rows.data
    column = survey.object_column
    named = data[column] > 0 if column else np.zeros(len(data), dtype=bool)
    number = np.empty(len(data), dtype=np.uint64)
    split = np.empty(len(data), dtype=np.int8)
    cells = _cells(data["ra"], data["dec"])
    placed = np.isfinite(data["ra"]) & np.isfinite(data["dec"])
    keys = rows.keys()
    for row in range(len(data)):
        if named[row]:
            names = [f"{survey.name} {data[column][row]}"]
        elif placed[row]:
            names = [f"sky {a} {b}" for a, b in cells[row]]
        else:
            names = [f"spectrum {keys[row]}"]
        drawn = [_draw(name) for name in names]
        splits = {_split(share, validation, calibration) for share, _ in drawn}
        number[row] = drawn[0][1]
        split[row] = splits.pop() if len(splits) == 1 else Split.NONE
    return Objects(number, split)


def _draw(name: str) -> tuple[float, int]:
    """A share from 0 to 1 that decides the split, and a number that is independent of it."""
    digest = hashlib.blake2b(name.encode(), digest_size=16, key=_KEY).digest()
    return int.from_bytes(digest[:8], "little") / 2.0**64, int.from_bytes(digest[8:], "little")


def _split(share: float, validation: float, calibration: float) -> Split:
    if share < validation:
        return Split.VALIDATION
    return Split.CALIBRATION if share < validation + calibration else Split.TRAINING


def _cells(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """Band and place of the cell of each position, then of the corners of what may be the same object.

    Shape (n, 5, 2). A cell is wider than that box, so no other cell has a part of it.
    """
    ra, dec = np.nan_to_num(ra), np.nan_to_num(dec)
    up = np.array([0.0, -1.0, -1.0, 1.0, 1.0]) * SAME_OBJECT
    right = np.array([0.0, -1.0, 1.0, -1.0, 1.0]) * SAME_OBJECT
    highest = np.radians(np.minimum(np.abs(dec) + SAME_OBJECT, 89.9))[:, None]
    band = np.floor(np.clip(dec[:, None] + up, -90.0, 90.0) / CELL).astype(np.int64)
    in_band = np.maximum(np.floor(360.0 * np.cos(np.radians((band + 0.5) * CELL)) / CELL), 1.0)
    place = np.floor((ra[:, None] + right / np.cos(highest)) % 360.0 / 360.0 * in_band) % in_band
    return np.stack([band, place.astype(np.int64)], axis=-1)
