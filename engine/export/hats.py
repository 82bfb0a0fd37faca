"""HATS: a catalogue of spectra in Parquet, partitioned by place on the sky, for lsdb and others.

The layout is that of HATS 1.0 (https://www.ivoa.net/documents/Notes/HATS/): ``hats.properties``,
``partition_info.csv``, and below ``dataset`` one file per partition with ``_metadata`` and
``_common_metadata``. It is written by pyarrow alone. The rows of a partition are sorted by ``_healpix_29``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from engine.export.chosen import chosen, nothing_chosen
from engine.export.exported import Exported, LeftOut, Progress
from engine.export.sky_partitions import (
    INDEX_ORDER,
    SkyPartition,
    neighbours_together,
    sky_partitions,
)
from engine.query.conditions.condition import Condition
from engine.query.query import COLUMNS, answer_in_parts
from engine.query.settings import QuerySettings
from engine.query.table_formats import arrow_table
from engine.store.reading import StoreView
from engine.store.root import code_version
from models.output_files import output_directory

PARTITION_ROWS = 50_000
"""Most rows of a partition; so many are in memory at once."""

_INDEX, _STORED = "_healpix_29", "healpix_29"
_ROW_GROUP = 16_384
_UNPLACED = "without a position on the sky"


def write_hats(
    view: StoreView,
    settings: QuerySettings,
    path: Path,
    progress: Progress = lambda *_: None,
    partition_rows: int = PARTITION_ROWS,
) -> Exported:
    """Write what a selection finds as a new HATS catalogue.

    Columns are those of the query's answer, ``ra``, ``dec`` and ``_healpix_29``, with unit and description in
    the metadata of each field. Identifiers are int64 or uint64. Spectra without a position are left out and
    counted. The directory appears when it is complete.

    Raises
    ------
    InputError : nothing is chosen, nothing of it has a position, or the directory exists or cannot be made.
    StoreError : the store is damaged.
    """
    partitions, left_out = _planned(view, settings, partition_rows)
    spectra = sum(each.rows for each in partitions)
    with output_directory(path) as directory:
        frames = _frames(view, settings, partitions, partition_rows)
        _write_dataset(directory / "dataset", frames, lambda done: progress(done, spectra))
        _write_partition_info(directory, partitions)
        _write_properties(directory, path.name, partitions)
    return Exported(str(path), "HATS catalogue", spectra, len(partitions), left_out)


def _planned(
    view: StoreView, settings: QuerySettings, most: int
) -> tuple[list[SkyPartition], tuple[LeftOut, ...]]:
    """The partitions of what is chosen, from the cells alone; and what has no place in them."""
    if settings.top is None:
        settings = replace(
            settings, order=(_STORED,)
        )  # the order is that of places anyway: one sort is enough
    found = chosen(view, settings, (_STORED,))
    cells = np.sort(found.frame[_STORED].to_numpy(np.int64))
    placed = cells[np.searchsorted(cells, 0) :]
    if not len(placed):
        raise nothing_chosen(view, f"{len(cells):,} spectra, all of them {_UNPLACED}")
    unplaced = LeftOut(len(cells) - len(placed), _UNPLACED)
    return sky_partitions(placed, most), found.left_out(unplaced)


def _frames(
    view: StoreView, settings: QuerySettings, partitions: Sequence[SkyPartition], most: int
) -> Iterator[tuple[SkyPartition, pd.DataFrame]]:
    """The rows of each partition."""
    asked = settings.columns or COLUMNS
    names = tuple(dict.fromkeys((*asked, "ra", "dec", _STORED)))
    together = list(neighbours_together(partitions, most))
    conditions = (_between(each[0].start, each[-1].stop) for each in together)
    frames = answer_in_parts(view, replace(settings, columns=names), conditions)
    for several, frame in zip(together, frames, strict=True):
        frame.insert(0, _INDEX, frame[_STORED] if _STORED in asked else frame.pop(_STORED))
        ordered = frame.sort_values(_INDEX, kind="stable", ignore_index=True)
        for each in several:
            first, stop = np.searchsorted(ordered[_INDEX].to_numpy(), [each.start, each.stop]).tolist()
            yield each, ordered.iloc[first:stop]


def _between(start: int, stop: int) -> Condition:
    return Condition(f"{_STORED} >= ? AND {_STORED} < ?", (start, stop), frozenset({_STORED}))


def _write_dataset(
    dataset: Path, frames: Iterator[tuple[SkyPartition, pd.DataFrame]], on_written: Callable[[int], None]
) -> None:
    footers: list[pq.FileMetaData] = []
    done = 0
    for partition, frame in frames:
        file = dataset / partition.path
        file.parent.mkdir(parents=True, exist_ok=True)
        table = arrow_table(frame).replace_schema_metadata(None)
        written: list[pq.FileMetaData] = []
        pq.write_table(
            table,
            file,
            row_group_size=_ROW_GROUP,
            compression="zstd",
            write_page_index=True,
            metadata_collector=written,
        )
        written[0].set_file_path(partition.path)
        footers += written
        done += len(frame)
        on_written(done)
        schema = table.schema
    pq.write_metadata(schema, dataset / "_common_metadata")
    pq.write_metadata(schema, dataset / "_metadata", metadata_collector=footers)


def _write_partition_info(directory: Path, partitions: Sequence[SkyPartition]) -> None:
    lines = ["Norder,Npix", *(f"{each.order},{each.pixel}" for each in _by_order(partitions))]
    (directory / "partition_info.csv").write_text("\n".join(lines) + "\n")


def _by_order(partitions: Sequence[SkyPartition]) -> list[SkyPartition]:
    return sorted(partitions, key=lambda each: (each.order, each.pixel))


def _write_properties(directory: Path, name: str, partitions: Sequence[SkyPartition]) -> None:
    kilobytes = sum(file.stat().st_size for file in directory.rglob("*.parquet")) // 1024
    properties: Mapping[str, object] = {
        "obs_collection": re.sub(r"[^A-Za-z0-9._-]", "_", name),
        "dataproduct_type": "object",
        "hats_nrows": sum(each.rows for each in partitions),
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_col_healpix": _INDEX,
        "hats_col_healpix_order": INDEX_ORDER,
        "hats_npix_suffix": ".parquet",
        "hats_max_rows": max(each.rows for each in partitions),
        "hats_order": max(each.order for each in partitions),
        "hats_estsize": kilobytes,
        "moc_sky_fraction": f"{sum(4.0**-each.order for each in partitions) / 12:.8g}",
        "hats_builder": f"whyspec {code_version()}",
        "hats_creation_date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MUTC"),
        "hats_release_date": "2025-08-22",
        "hats_version": "v1.0",
    }
    text = "".join(f"{key}={value}\n" for key, value in properties.items())
    for file in ("hats.properties", "properties"):  # the second is what HiPS calls it, and older readers
        (directory / file).write_text(f"#HATS catalog\n{text}")
