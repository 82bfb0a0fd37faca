"""Simulated arrays: a store's values by block, made from numbers of rows alone, as quick as NumPy is.

Nothing of it looks like spectra. Identifiers, positions and files lie together as in a release: one file has
one small patch of the sky, TARGETIDs count within bricks of a quarter degree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.attribution.places import MOST_PLACES
from engine.spectra.sky_position import healpix_29
from engine.store.blocks import BlockKind
from engine.store.configuration import RunConfiguration
from engine.store.schema import BY_PATH
from models.causes.names import CAUSES
from models.causes.quantities import QUANTITIES
from models.digests import digest_of
from models.lines import LINES
from models.row_status import RowStatus

FILE_ROWS = 500
_FIBRES = 5000
_SHARE = 0.01
"""Of the rows, outliers."""


@dataclass(frozen=True)
class SimulatedArrays:
    """Arrays of so many spectra, one in a hundred of them an explained outlier.

    Attributes
    ----------
    configuration : of the store that they are of; rows : spectra.
    """

    configuration: RunConfiguration
    rows: int
    _outliers: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    def outliers(self, block: int) -> NDArray[np.int64]:
        """Rows of a score block that are outliers, ascending."""
        if block not in self._outliers:
            first = block * self.configuration.block_rows
            stop = min(first + self.configuration.block_rows, self.rows)
            chosen = np.random.default_rng((7, block)).random(stop - first) < _SHARE
            self._outliers[block] = np.flatnonzero(chosen) + first
        return self._outliers[block]

    def every_outlier(self) -> NDArray[np.int64]:
        """Rows of all outliers, ascending."""
        blocks = -(-self.rows // self.configuration.block_rows)
        return np.concatenate([self.outliers(block) for block in range(blocks)])

    def numbers(self, kind: BlockKind, blocks: Sequence[int]) -> NDArray[np.int64]:
        """Numbers of the rows of these blocks."""
        capacity = self.configuration.rows_per_block(kind)
        rows = self.rows if kind == "score" else len(self.every_outlier())
        return np.concatenate([np.arange(b * capacity, min((b + 1) * capacity, rows)) for b in blocks])

    def read_blocks(self, path: str, blocks: Sequence[int]) -> NDArray[Any]:
        """The values of an array in these rows."""
        spec = BY_PATH[path]
        numbers = self.numbers(spec.kind, blocks)
        seed = int(digest_of(f"{path} {blocks[0]}".encode())[:15], 16)
        generator = np.random.default_rng(seed)
        rows = numbers if spec.kind == "score" else self.every_outlier()[numbers]
        if (made := _MADE.get(path)) is not None:
            return made(rows, generator)
        if path == "scores/outlier":
            return np.isin(rows, np.concatenate([self.outliers(block) for block in blocks]))
        if path == "scores/tail_probability":
            outlier = np.isin(rows, np.concatenate([self.outliers(block) for block in blocks]))
            tail = generator.random(len(rows))
            return np.where(outlier, tail * _SHARE, _SHARE + tail * (1 - _SHARE)).astype(np.float32)
        sizes = {
            "latent": self.configuration.latents,
            "reconstruction_score": len(self.configuration.reconstruction_scores),
            "place": MOST_PLACES,
            "quantity": len(QUANTITIES),
        }
        shape = (len(rows), *(sizes[name] for name in spec.dims[1:]))
        if spec.dtype == "string":
            return np.full(shape, str(spec.fill or ""), object)
        if np.dtype(spec.dtype).kind == "f":
            return generator.random(shape, np.float32).astype(spec.dtype)
        fill = spec.fill if isinstance(spec.fill, int | float) else 0
        return np.full(shape, fill, spec.dtype)


def target_ids(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """TARGETIDs: bricks along rings of a quarter degree, then a number."""
    ra, dec = positions(rows)
    brick = np.floor((dec + 90) * 4).astype(np.int64) * 1440 + np.floor(ra * 4).astype(np.int64)
    return (np.int64(9010) << 42) | (brick << 22) | (rows % (1 << 22))


def positions(rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right ascension and declination in degrees: files are patches of a degree, row by row of the sky."""
    file = rows // FILE_ROWS
    patch = file * 7919 % 21_600  # neighbouring files are not neighbours on the sky
    spread = (rows * 2654435761 % 1_000_003) / 1_000_003, (rows * 40503 % 999_983) / 999_983
    return patch % 360 + spread[0], patch // 360 + spread[1] - 20.0


def _keys(rows: NDArray[np.int64], _: np.random.Generator) -> NDArray[Any]:
    return np.array([f"iron/main/dark/{row // FILE_ROWS}/{each}" for row, each in zip(
        rows.tolist(), target_ids(rows).tolist(), strict=True)], object)  # fmt: skip


def _sources(rows: NDArray[np.int64], _: np.random.Generator) -> NDArray[Any]:
    files, place = np.unique(rows // FILE_ROWS, return_inverse=True)
    names = [f"/data/desi/iron/healpix/main/dark/{n // 100}/{n}/coadd-main-dark-{n}.fits" for n in files]
    return np.array(names, object)[place]


def _among(*values: object) -> Callable[[NDArray[np.int64], np.random.Generator], NDArray[Any]]:
    every = np.array(values, object if isinstance(values[0], str) else None)
    return lambda rows, generator: every[generator.integers(0, len(every), len(rows))]


def _statuses(rows: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.uint8]:
    unscored = generator.random(len(rows)) < 0.05
    return np.where(unscored, RowStatus.SKY_FIBRE, RowStatus.SCORED).astype(np.uint8)


_MADE: dict[str, Callable[[NDArray[np.int64], np.random.Generator], NDArray[Any]]] = {
    "spectra/specprod": lambda rows, _: np.full(len(rows), "iron", object),
    "spectra/survey": lambda rows, _: np.full(len(rows), "main", object),
    "spectra/program": _among("dark", "bright"),
    "spectra/target_id": lambda rows, _: target_ids(rows),
    "spectra/ra": lambda rows, _: positions(rows)[0],
    "spectra/dec": lambda rows, _: positions(rows)[1],
    "spectra/healpix_29": lambda rows, _: healpix_29(*positions(rows)),
    "spectra/redshift": lambda rows, generator: generator.random(len(rows)) * 1.6,
    "spectra/zwarn": _among(0, 0, 0, 4),
    "spectra/spectype": _among("GALAXY", "GALAXY", "QSO", "STAR"),
    "spectra/fiber": lambda rows, _: (rows * 7 % _FIBRES).astype(np.int32),
    "spectra/source": _sources,
    "spectra/source_row": lambda rows, _: (rows % FILE_ROWS).astype(np.int32),
    "spectra/key": _keys,
    "spectra/status": _statuses,
    "scores/model": lambda rows, _: np.zeros(len(rows), np.int8),
    "outliers/row": lambda rows, _: rows,
    "outliers/key": _keys,
    "outliers/target_id": lambda rows, _: target_ids(rows),
    "outliers/cause": _among(*CAUSES),
    "outliers/place_line": lambda rows, generator: _among(*(line.name for line in LINES), "")(
        np.repeat(rows, MOST_PLACES), generator
    ).reshape(-1, MOST_PLACES),
}
