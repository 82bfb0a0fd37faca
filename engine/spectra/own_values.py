"""Own values: redshifts and classes that a user's table gives in place of the survey's pipeline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.spectra.rows import Rows, whole
from engine.spectra.source_file import SourceFile
from models.row_status import RowStatus

_OF_THE_PIPELINE = ("redshift_err", "zwarn", "delta_chi2", "subtype")
"""What a pipeline says of its redshift; it goes where the redshift goes."""


def give_own_values(file: SourceFile, rows: Rows) -> None:
    """Put a file's own redshifts and class into its rows, which then say so.

    A row that lacked nothing but a redshift gets the status SCORED.
    """
    data = rows.data
    if file.own_class:
        data["spectype"], data["subtype"] = whole("spectype", file.own_class), ""
        data["own_class"] = True
    if file.own_redshifts:
        row, redshift, spectype = (np.array(each) for each in zip(*file.own_redshifts, strict=True))
        place = np.minimum(np.searchsorted(row, data["source_row"]), len(row) - 1)
        found = np.flatnonzero(row[place] == data["source_row"])
        _give_redshifts(data, found, redshift[place[found]])
        classes = whole("spectype", spectype[place[found]])
        data["spectype"][found[classes != ""]] = classes[classes != ""]
        data["own_class"][found[classes != ""]] = True


def _give_redshifts(data: NDArray[np.void], found: NDArray[np.int64], redshift: NDArray[np.float64]) -> None:
    unknown = Rows.empty(1)
    for name in _OF_THE_PIPELINE:
        data[name][found] = unknown[name]
    data["redshift"][found] = redshift
    data["own_redshift"][found] = True
    data["status"][found[data["status"][found] == RowStatus.NO_REDSHIFT]] = RowStatus.SCORED
