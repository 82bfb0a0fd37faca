"""Reader of a score block, ahead of the one who scores it.

Threads read the block's files in order while the model computes, so that a slow disk or a network
costs time only where it is slower than the model. What comes out does not depend on the threads:
batches end at multiples of :data:`BATCH_SPECTRA`, whatever files the spectra come from.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.files.file_faults import quarantined_if_server_answers
from engine.files.retries import growing_pauses, with_retries
from engine.files.source_health import SourceHealth
from engine.spectra.source_file import RefusedFile
from engine.spectra.spectra import Spectra
from engine.store.blocks import ScoreBlock, SourceSlice
from engine.surveys.reading import OpenSpectra, open_spectra
from models.errors import QuarantineError, RetryError
from models.grid import WavelengthGrid

BATCH_SPECTRA = 128
"""Spectra that go through the model at once; a block is streamed in such batches."""

READ_AHEAD = 2 * BATCH_SPECTRA
"""Spectra that are read, or being read, before they are asked for."""

REMOTE_BYTES = 512 * 2**20
"""What the files of a block hold at most while they are read over a network: see ``open_spectra``."""

_THREADS = 8
"""Files that are read at the same time, where they are small: each waits for its own answers."""

_ATTEMPTS = 2
_PAUSE = 5.0
"""Seconds before a file that failed is opened anew; single requests were repeated before by then."""


@dataclass(frozen=True)
class BlockBatch:
    """Spectra of a block with their rows in the block, (n,) ascending."""

    rows: NDArray[np.int64]
    spectra: Spectra


class BlockReader:
    """Reads one score block; iterate over it once, within a ``with`` statement.

    Parameters
    ----------
    block : what to read.
    grid : of the store.
    health : what this process knows of its sources.

    Attributes
    ----------
    unreadable : files that could not be read so far, by URL; pieces of them that were given out
        before the damage showed are to be forgotten.
    """

    def __init__(self, block: ScoreBlock, grid: WavelengthGrid, health: SourceHealth) -> None:
        self.unreadable: dict[str, RefusedFile] = {}
        self._block = block
        self._grid = grid
        self._health = health
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="read")
        self._files = [_SliceReader(part, self._stopped) for part in block.slices]
        self._pieces = _pieces(block)
        self._next = next(self._pieces, None)
        self._under_way: deque[tuple[_Piece, Future[Spectra]]] = deque()
        self._spectra = 0  # under way

    def __enter__(self) -> BlockReader:
        """Begin to read, before anybody asks."""
        self._read_ahead()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop reading and close the files."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for file in self._files:
            file.close()

    def __iter__(self) -> Iterator[BlockBatch]:
        """The readable spectra, batch by batch.

        Raises
        ------
        RetryError : the disk or server is away, or lets one file after the other fail.
        """
        parts: list[Spectra] = []
        places: list[NDArray[np.int64]] = []
        while self._under_way:
            piece, answer = self._under_way.popleft()
            self._spectra -= piece.spectra
            self._read_ahead()
            spectra = self._received(piece, answer)
            if spectra is not None:
                parts.append(spectra)
                places.append(np.arange(piece.row, piece.end_row))
            if piece.end_row % BATCH_SPECTRA == 0 and parts:
                yield BlockBatch(np.concatenate(places), Spectra.concatenate(self._grid, parts))
                parts, places = [], []
        if parts:
            yield BlockBatch(np.concatenate(places), Spectra.concatenate(self._grid, parts))

    def _read_ahead(self) -> None:
        """Have pieces read until :data:`READ_AHEAD` spectra are under way."""
        while self._next is not None and self._spectra + self._next.spectra <= READ_AHEAD:
            # Submitted in the order of a file's pieces, and each call reads the file's next: whatever
            # thread comes first, a compressed stream is never asked to go back.
            piece, file = self._next, self._files[self._next.slice]
            self._under_way.append((piece, file.expect(piece, self._pool)))
            self._spectra += piece.spectra
            self._next = next(self._pieces, None)

    def _received(self, piece: _Piece, answer: Future[Spectra]) -> Spectra | None:
        url = self._block.slices[piece.slice].file.url
        try:
            spectra = answer.result()
        except QuarantineError as error:
            if url not in self.unreadable:
                if isinstance(error.__cause__, RetryError):
                    self._health.failed(error)
                self.unreadable[url] = RefusedFile(url, error.kind, str(error))
            return None
        self._health.answered()
        return spectra


@dataclass(frozen=True, slots=True)
class _Piece:
    """Spectra ``first`` to ``stop`` of a slice's file, for rows of the block from ``row`` on."""

    slice: int
    row: int
    first: int
    stop: int

    @property
    def spectra(self) -> int:
        return self.stop - self.first

    @property
    def end_row(self) -> int:
        return self.row + self.spectra


class _SliceReader:
    """Reads the pieces of one slice, one after the other, from a file that is opened once."""

    def __init__(self, part: SourceSlice, stopped: threading.Event) -> None:
        self._part = part
        self._stopped = stopped
        self._lock = threading.Lock()
        self._expected: deque[tuple[_Piece, Future[Spectra]]] = deque()
        self._stack = ExitStack()
        self._open: OpenSpectra | None = None
        self._error: QuarantineError | RetryError | None = None

    def expect(self, piece: _Piece, pool: ThreadPoolExecutor) -> Future[Spectra]:
        """Have ``piece`` read; what is expected earlier is read earlier."""
        answer: Future[Spectra] = Future()
        self._expected.append((piece, answer))
        pool.submit(self._read_next)
        return answer

    def close(self) -> None:
        """Give the file back."""
        self._open = None
        self._stack.close()

    def _read_next(self) -> None:
        with self._lock:
            piece, answer = self._expected.popleft()
            try:
                with quarantined_if_server_answers():
                    answer.set_result(self._read(piece))
            except BaseException as error:  # noqa: BLE001 - raised again where the answer is taken
                answer.set_exception(error)
            if piece.stop == self._part.stop:
                self.close()

    def _read(self, piece: _Piece) -> Spectra:
        if self._error is not None:
            raise self._error
        try:
            return with_retries(
                lambda: self._read_once(piece),
                growing_pauses(_PAUSE, _ATTEMPTS - 1),
                on_retry=lambda _: self.close(),
                wait=self._stopped.wait,
            )
        except (QuarantineError, RetryError) as error:
            self._error = error
            self.close()
            raise

    def _read_once(self, piece: _Piece) -> Spectra:
        if self._open is None:
            self._open = self._stack.enter_context(
                open_spectra(self._part.file, self._part.start, self._part.stop)
            )
        return self._open.read(piece.first, piece.stop)


def _pieces(block: ScoreBlock) -> Iterator[_Piece]:
    """The block's slices cut at multiples of the batch size."""
    row = 0
    for number, part in enumerate(block.slices):
        first = part.start
        while first < part.stop:
            count = min(part.stop - first, BATCH_SPECTRA - row % BATCH_SPECTRA)
            yield _Piece(number, row, first, first + count)
            row, first = row + count, first + count
