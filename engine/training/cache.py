"""Prepared training sets: normalised spectra in a Zarr hierarchy of bounded size, read a batch at a time.

``spectra.zarr`` holds flux and ivar (spectra, pixels), redshift, object number and split, in the order of the
objects' hashes: a random order, the same however the release's files are ordered. Its chunks are not
compressed, so that a batch is copied from the mapped files row by row, with no more read than is asked for.
``prepared.json`` is written last: without it, or with that of another request, all is prepared anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from engine.spectra.source_file import ReleaseListing
from engine.training.populations import RedshiftRange
from engine.training.request import TrainingRequest
from engine.training.sample import TrainingSample
from engine.training.splits import Split
from models.atomic_files import PARTIAL, write_durably
from models.digests import canonical_json, digest_of
from models.errors import ConfigurationError, ErrorKind, InputError
from models.grid import WavelengthGrid
from models.output_files import writing
from models.training.spectra import TrainingSpectra, TrainingSplit

ARRAYS, MARKER, LOCK = "spectra.zarr", "prepared.json", "lock"

_VERSION = 2
_OTHER_BYTES = 1_000_000
"""More than what the descriptions of the arrays take."""
_LEAST_CHUNK, _CHUNKS = 64, 128
_FLOAT = np.dtype("<f4")


@dataclass(frozen=True)
class PreparedSet:
    """A training set on disk, its redshifts and normalisation window, and its digest."""

    split: TrainingSplit
    redshift_range: RedshiftRange
    digest: str


class StoredSpectra:
    """Spectra of one split of a prepared set; only those that are taken are read.

    Parameters
    ----------
    flux, ivar : the chunks of either array, (chunk, N) each, mapped.
    rows : (n,) of the spectra in the array, ascending.
    redshift : (n,).
    """

    def __init__(
        self,
        flux: list[NDArray[np.float32]],
        ivar: list[NDArray[np.float32]],
        rows: NDArray[np.int64],
        redshift: NDArray[np.float64],
    ) -> None:
        self._flux, self._ivar, self._rows, self._redshift = flux, ivar, rows, redshift

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, index: NDArray[Any]) -> TrainingSpectra:
        """The spectra at ``index``."""
        rows = self._rows[index]
        return TrainingSpectra(_rows(self._flux, rows), _rows(self._ivar, rows), self._redshift[index])


class ArrayWriter:
    """A :class:`~engine.training.reading.SpectraSink` of the arrays of a cache that is being made."""

    def __init__(self, flux: list[NDArray[np.float32]], ivar: list[NDArray[np.float32]]) -> None:
        self._flux, self._ivar = flux, ivar

    def put(self, places: NDArray[np.int64], flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> None:
        """Write k spectra, flux and ivar (k, N), at ``places``."""
        for number, place in enumerate(places.tolist()):
            chunk, row = divmod(place, len(self._flux[0]))
            self._flux[chunk][row] = flux[number]
            self._ivar[chunk][row] = ivar[number]


def capacity(grid: WavelengthGrid, limit: int, size: int) -> int:
    """How many spectra, at most ``limit``, fit into a cache of ``size`` bytes.

    Raises
    ------
    ConfigurationError : less than a chunk of them.
    """
    count = max(0, min(limit, (size - _OTHER_BYTES) // _row_bytes(grid)))
    while bytes_of(grid, count) > max(size, _OTHER_BYTES):  # a chunk takes its room even if it is not full
        chunk = _chunk_rows(count)
        count = (-(-count // chunk) - 1) * chunk
    if count < min(limit, _LEAST_CHUNK):
        raise ConfigurationError(
            "The cache would be too small to train from.",
            where="--cache-size",
            got=f"{size:,} bytes",
            allowed=f"at least {bytes_of(grid, min(limit, _LEAST_CHUNK)):,} bytes; "
            f"{bytes_of(grid, limit):,} for all {limit:,} spectra",
            remedy="Give it more, e.g. --cache-size 2GB.",
            kind=ErrorKind.CACHE_TOO_SMALL,
        )
    return count


def bytes_of(grid: WavelengthGrid, count: int) -> int:
    """What a cache of ``count`` spectra takes at most."""
    chunk = _chunk_rows(count)
    return -(-count // chunk) * chunk * _row_bytes(grid) + _OTHER_BYTES


def digest(listing: ReleaseListing, request: TrainingRequest, limit: int) -> str:
    """Hex digest of all that a prepared set depends on: not the place of the files, nor their order."""
    files = sorted(
        (file.url.rpartition("/")[2], file.fingerprint, file.reader, file.spectra) for file in listing.files
    )
    shares = (request.validation, request.calibration)
    asked = (request.population, request.redshift, limit, *shares, *(request.window or ()))
    return digest_of(canonical_json([_VERSION, listing.grid.to_dict(), files, asked]))


@contextmanager
def locked(directory: Path) -> Iterator[Path]:
    """Lock the cache in ``directory``, which is made if there is none, against other trainings.

    Raises
    ------
    InputError : it holds other things, cannot be written to, or another training uses it.
    """
    if directory.exists() and (
        not directory.is_dir()
        or not all(
            path.name in (ARRAYS, MARKER, LOCK) or path.suffix == PARTIAL for path in directory.iterdir()
        )
    ):
        raise InputError(
            "The directory for the cache holds something else.",
            where=str(directory),
            allowed="a new or empty directory, or one with an earlier cache of a training",
            remedy="Choose another --cache, or empty the directory yourself.",
            kind=ErrorKind.OUTPUT_OCCUPIED,
        )
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        opened = (directory / LOCK).open("w")
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "Another training uses this cache.",
                where=str(directory),
                remedy="Wait for it to end, or choose another --cache.",
                kind=ErrorKind.CACHE_IN_USE,
            ) from None
        yield directory


def find_prepared(directory: Path, wanted: str) -> PreparedSet | None:
    """The set in ``directory``, if it is whole and of the digest ``wanted``."""
    try:
        marker: Mapping[str, Any] = json.loads((directory / MARKER).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if marker.get("digest") != wanted:
        return None
    group = zarr.open_group(directory / ARRAYS, mode="r")
    columns = _values(group, "redshift"), _values(group, "split")
    redshift_range = RedshiftRange(tuple(marker["redshifts"]), tuple(marker["window"]))
    return _mapped_set(directory, *columns, marker["pixels"], redshift_range, wanted)


def begin(directory: Path, sample: TrainingSample, grid: WavelengthGrid) -> ArrayWriter:
    """Empty the cache and lay out arrays for a sample; what is not put into them is 0.

    Raises
    ------
    ConfigurationError : the disk has not enough room.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for path in (directory / MARKER, *directory.glob(f"*{PARTIAL}")):
        path.unlink(missing_ok=True)
    if (directory / ARRAYS).exists():
        shutil.rmtree(directory / ARRAYS)
    count = len(sample)
    free, needed = shutil.disk_usage(directory).free, bytes_of(grid, count)
    if needed > free:  # found out later it would be a SIGBUS: the files are mapped
        raise ConfigurationError(
            "The prepared spectra do not fit on the disk.",
            where=str(directory),
            got=f"{free:,} bytes free",
            allowed=f"{needed:,} bytes for {count:,} spectra",
            remedy="Choose another --cache, or a smaller --limit or --cache-size.",
            kind=ErrorKind.CACHE_DISK_FULL,
        )
    group = zarr.create_group(directory / ARRAYS)
    description: dict[str, Any] = {
        "grid": grid.to_dict(),
        "description": "normalised spectra for training",
    }
    group.attrs.update(description)
    for name, meaning in (
        ("flux", "flux / normalisation"),
        ("ivar", "inverse variance of flux, 0 if masked"),
    ):
        group.create_array(
            name,
            shape=(count, grid.size),
            chunks=(_chunk_rows(count), grid.size),
            dtype=_FLOAT,
            compressors=None,
            fill_value=0,
            dimension_names=("spectrum", "wavelength"),
            attributes={"description": meaning},
        )
    maps = [_mapped(directory, name, count, grid.size, "w+") for name in ("flux", "ivar")]
    return ArrayWriter(*maps)


def finish(
    directory: Path, sample: TrainingSample, usable: NDArray[np.bool_], pixels: int, wanted: str
) -> PreparedSet:
    """Add redshifts, objects and splits of the spectra, and mark the cache as whole.

    Parameters
    ----------
    usable : (n,) which spectra were put there; the others are in no split.
    wanted : the cache's :func:`digest`.
    """
    group = zarr.open_group(directory / ARRAYS)
    split = np.where(usable, sample.split, Split.NONE).astype(np.int8)
    columns: dict[str, tuple[NDArray[Any], str]] = {
        "redshift": (sample.redshift, "redshift of the survey's pipeline"),
        "object": (sample.number, "number of the object: a hash, see whyspec's engine/training/splits.py"),
        "split": (split, ", ".join(f"{each.value} {each.name.lower()}" for each in Split)),
    }
    for name, (values, meaning) in columns.items():
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            dimension_names=("spectrum",),
            attributes={"description": meaning},
        )
        array[...] = values
    _sync(directory / ARRAYS)
    marker = {
        "digest": wanted,
        "spectra": int(usable.sum()),
        "pixels": pixels,
        "redshifts": list(sample.redshift_range.redshifts),
        "window": list(sample.redshift_range.window),
    }
    write_durably(directory / MARKER, (json.dumps(marker, indent=2) + "\n").encode())
    return _mapped_set(directory, sample.redshift, split, pixels, sample.redshift_range, wanted)


def _mapped_set(
    directory: Path,
    redshift: NDArray[np.float64],
    split: NDArray[np.int8],
    pixels: int,
    redshift_range: RedshiftRange,
    wanted: str,
) -> PreparedSet:
    flux, ivar = (_mapped(directory, name, len(split), pixels, "r") for name in ("flux", "ivar"))
    parts = []
    for each in (Split.TRAINING, Split.VALIDATION, Split.CALIBRATION):
        rows = np.flatnonzero(split == each)
        parts.append(StoredSpectra(flux, ivar, rows, redshift[rows]))
    return PreparedSet(TrainingSplit(*parts), redshift_range, wanted)


def _values(group: zarr.Group, name: str) -> NDArray[Any]:
    array = group[name]
    assert isinstance(array, zarr.Array)  # noqa: S101 - written so by finish
    return np.asarray(array[...])


def _sync(directory: Path) -> None:
    """Sync all files below to the disk."""
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _chunk_rows(count: int) -> int:
    """Rows of a chunk: so many that the chunks' files can all be open."""
    return max(_LEAST_CHUNK, -(-count // _CHUNKS))


def _row_bytes(grid: WavelengthGrid) -> int:
    return 2 * grid.size * _FLOAT.itemsize + 17


def _mapped(directory: Path, name: str, count: int, pixels: int, mode: Any) -> list[NDArray[np.float32]]:
    """The chunks of an array as Zarr lays them out, one file each."""
    rows = _chunk_rows(count)
    chunks: list[NDArray[np.float32]] = []
    for number in range(-(-count // rows)):
        path = directory / ARRAYS / name / "c" / str(number) / "0"
        path.parent.mkdir(parents=True, exist_ok=True)
        chunks.append(np.memmap(path, dtype=_FLOAT, mode=mode, shape=(rows, pixels)))
    return chunks


def _rows(chunks: list[NDArray[np.float32]], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    values = np.empty((len(rows), chunks[0].shape[1]), dtype=np.float32)
    for number, place in enumerate(rows.tolist()):
        chunk, row = divmod(place, len(chunks[0]))
        values[number] = chunks[chunk][row]
    return values
