"""Answer: the spectra that a query found, as a table of whatever library the user works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.interface.optional_packages import optional_package
from models.plain_text import printable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import xarray as xr

_SHOWN = 20
_IN_NOTEBOOKS = (
    "key",
    "redshift",
    "spectype",
    "score",
    "tail_probability",
    "cause",
    "instrument_probability",
    "places",
    "cautions",
    "status",
)


@dataclass(frozen=True, repr=False)
class Answer:
    """Spectra that fulfil a query, oddest first; :data:`engine.query.query.COLUMNS` are its columns.

    ``answer["score"]`` is one column. The other libraries get every column with every digit; ``target_id`` is
    an integer of 64 bits everywhere.
    """

    _frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self._frame)

    def __getitem__(self, column: str) -> pd.Series:
        return self._frame[column]

    @property
    def keys(self) -> tuple[str, ...]:
        """Spectrum keys, in order."""
        return tuple(self._frame["key"])

    def to_pandas(self) -> pd.DataFrame:
        """A frame of its own."""
        return self._frame.copy()

    def to_arrow(self) -> pa.Table:
        """An Arrow table; units are in the fields' metadata as ``unit``."""
        import pyarrow as pa

        from engine.query.column_meanings import units_of

        table, units = pa.Table.from_pandas(self._frame, preserve_index=False), units_of(self._frame)
        fields = [
            field.with_metadata({"unit": units[field.name]}) if field.name in units else field
            for field in table.schema
        ]
        return table.cast(pa.schema(fields))

    def to_polars(self) -> Any:
        """A polars frame.

        Raises
        ------
        ConfigurationError : polars is not installed.
        """
        return optional_package("polars", "to_polars()").from_arrow(self.to_arrow())

    def to_astropy(self) -> Any:
        """A :class:`astropy.table.QTable`: what has a unit is a quantity, an unknown integer is masked."""
        from astropy.table import QTable

        from engine.query.column_meanings import units_of

        columns = {str(name): _astropy_column(column) for name, column in self._frame.items()}
        return QTable(columns, units=units_of(columns))

    def to_xarray(self) -> xr.Dataset:
        """A dataset along ``spectrum``, with ``key`` as coordinate and units as attributes."""
        import xarray as xr

        from engine.query.column_meanings import units_of

        columns = {str(name): ("spectrum", _plain(column)) for name, column in self._frame.items()}
        found = xr.Dataset(columns).set_coords("key")
        for name, unit in units_of(columns).items():
            found[name].attrs["units"] = unit
        return found

    def __repr__(self) -> str:
        from engine.query.text_table import text_table

        more = f"... {len(self) - _SHOWN:,} more\n" if len(self) > _SHOWN else ""
        return f"{text_table(self._frame.head(_SHOWN), None)}{more}"

    def _repr_html_(self) -> str:
        shown = self._frame[[name for name in _IN_NOTEBOOKS if name in self._frame]].head(_SHOWN).copy()
        for name in _IN_NOTEBOOKS:
            if name in shown and shown[name].dtype == "str":
                shown[name] = [printable(text) for text in shown[name]]
        more = f"<p>... {len(self) - _SHOWN:,} more</p>" if len(self) > _SHOWN else ""
        return f"{shown.to_html(index=False, escape=True)}{more}"


def _plain(column: pd.Series) -> np.ndarray[Any, Any]:
    """The column as NumPy has it: an integer that may be missing becomes a float."""
    if column.dtype == "str":
        return column.to_numpy(object)
    return column.to_numpy(np.float64, na_value=np.nan) if column.dtype == "Int32" else column.to_numpy()


def _astropy_column(column: pd.Series) -> Any:
    from astropy.table import MaskedColumn

    if column.dtype == "Int32":
        return MaskedColumn(column.fillna(-1).to_numpy(np.int32), mask=column.isna().to_numpy())
    return column.to_numpy(np.str_) if column.dtype == "str" else column.to_numpy()
