"""Parquet tables: columns of one file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from engine.files.tables.arrow_column import values_of
from engine.files.tables.contents import Contents, places_of, units_in


def read_parquet(path: Path, wanted: frozenset[str]) -> Contents:
    """Raises whatever pyarrow raises for a damaged file."""
    with pyarrow.parquet.ParquetFile(path) as file:
        names = tuple(file.schema_arrow.names)
        places = places_of(names, wanted)
        table = file.read(columns=[names[place] for place in places.values()])
        columns = {name: (place, *values_of(table[names[place]])) for name, place in places.items()}
        return Contents(names, file.metadata.num_rows, columns, _units(file.schema_arrow))


def _units(schema: pa.Schema) -> dict[str, str]:
    """Units as whyspec's fields have them, and as astropy writes them for all columns together."""
    units = units_in((schema.metadata or {}).get(b"table_meta_yaml", b"").decode(errors="replace"))
    own = {field.name: (field.metadata or {}).get(b"unit", b"") for field in schema}
    return units | {name: unit.decode(errors="replace") for name, unit in own.items() if unit}
