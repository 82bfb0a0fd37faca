"""Reading ahead: the same batches as without, whatever the threads do, and files that fail."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.files.source_health import SourceHealth
from engine.run.block_reading import BATCH_SPECTRA, READ_AHEAD, BlockBatch, BlockReader
from engine.simulation.release import SimulationSettings, simulate_release
from engine.spectra.source_file import SourceFile
from engine.store.blocks import ScoreBlock, SourceSlice
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from models.errors import QuarantineError, RetryError
from tests.servers.http_ranges import Fault, RangeServer


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.run.block_reading._PAUSE", 0.01)
    monkeypatch.setattr("engine.files.file_systems.FIRST_PAUSE", 0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine files of 60 spectra, one of 40."""
    out = tmp_path_factory.mktemp("read-ahead") / "release"
    simulate_release(SimulationSettings("desi", 580, 0.0, spectra_per_file=60, resolution=False), out)
    return out


@pytest.fixture(scope="module")
def files(folder: Path) -> tuple[SourceFile, ...]:
    return list_release([str(folder)]).files


def block_of(files: tuple[SourceFile, ...], first: int = 0) -> ScoreBlock:
    """All spectra of the files but the first ``first``."""
    parts = [SourceSlice(file, 0, file.spectra) for file in files]
    parts[0] = replace(parts[0], start=first)
    return ScoreBlock(0, 1024, "", tuple(parts))


def served(files: tuple[SourceFile, ...], folder: Path, url: str) -> tuple[SourceFile, ...]:
    """The same files behind a server."""
    return tuple(
        replace(
            file,
            url=file.url.replace(str(folder), url),
            redshift_url=file.redshift_url.replace(str(folder), url),
        )
        for file in files
    )


def batches(block: ScoreBlock, health: SourceHealth | None = None) -> list[BlockBatch]:
    with BlockReader(block, DESI_GRID, health or SourceHealth()) as reader:
        return list(reader)


def test_batches_end_at_multiples_of_the_batch_size_and_hold_the_files_rows_in_order(
    files: tuple[SourceFile, ...],
) -> None:
    found = batches(block_of(files, 10))
    assert [len(batch.rows) for batch in found] == [128, 128, 128, 128, 58]
    assert np.concatenate([batch.rows for batch in found]).tolist() == list(range(570))
    whole = [read_spectra(file) for file in files]
    flux = np.concatenate([spectra.flux for spectra in whole])[10:]
    rows = np.concatenate([spectra.rows.data for spectra in whole])[10:]
    assert np.array_equal(np.concatenate([batch.spectra.flux for batch in found]), flux)
    read = np.concatenate([batch.spectra.rows.data for batch in found])
    for name in rows.dtype.names:
        np.testing.assert_array_equal(read[name], rows[name])


def test_a_late_server_changes_nothing_and_is_waited_for_once_at_a_time(
    files: tuple[SourceFile, ...], folder: Path
) -> None:
    local = batches(block_of(files))
    with RangeServer(folder, latency=0.02) as server:
        remote = batches(block_of(served(files, folder, server.url)))
    assert [batch.rows.tolist() for batch in remote] == [batch.rows.tolist() for batch in local]
    for near, far in zip(local, remote, strict=True):
        assert np.array_equal(near.spectra.flux, far.spectra.flux)
        assert np.array_equal(near.spectra.ivar, far.spectra.ivar)


def test_spectra_are_read_while_the_one_who_asked_is_busy(
    files: tuple[SourceFile, ...], folder: Path
) -> None:
    with RangeServer(folder) as server:
        block = block_of(served(files, folder, server.url))
        with BlockReader(block, DESI_GRID, SourceHealth()) as reader:
            iterator = iter(reader)
            next(iterator)
            wanted = {file.url.rpartition("/")[2] for file in files[: (BATCH_SPECTRA + READ_AHEAD) // 60]}
            deadline = time.monotonic() + 20
            while not wanted <= asked(server) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert wanted <= asked(server)
            assert files[-1].url.rpartition("/")[2] not in asked(server), "but not more than READ_AHEAD"


def asked(server: RangeServer) -> set[str]:
    return {request.path.rpartition("/")[2] for request in server.requests()}


def test_leaving_early_ends_the_threads(files: tuple[SourceFile, ...]) -> None:
    before = threading.active_count()
    with BlockReader(block_of(files), DESI_GRID, SourceHealth()) as reader:
        next(iter(reader))
    assert threading.active_count() <= before


def test_a_file_whose_server_keeps_failing_is_quarantined(
    files: tuple[SourceFile, ...], folder: Path
) -> None:
    bad = files[2].url.rpartition("/")[2]
    with RangeServer(folder) as server:
        server.misbehave(f"*/{bad}", Fault("status", 500))
        block = block_of(served(files, folder, server.url))
        with BlockReader(block, DESI_GRID, SourceHealth()) as reader:
            rows = np.concatenate([batch.rows for batch in reader])
        (refused,) = reader.unreadable.values()
    assert refused.url.endswith(bad)
    assert refused.kind == "read-failed"
    start = sum(file.spectra for file in files[:2])
    assert sorted(set(range(580)) - set(rows.tolist())) == list(range(start, start + files[2].spectra))


def test_a_fault_that_passes_is_not_noticed(files: tuple[SourceFile, ...], folder: Path) -> None:
    with RangeServer(folder) as server:
        server.misbehave(f"*/{files[1].url.rpartition('/')[2]}", Fault("status", 503), 2)
        found = batches(block_of(served(files, folder, server.url)))
    assert sum(len(batch.rows) for batch in found) == 580


def test_when_one_file_after_the_other_fails_it_is_not_the_files(
    files: tuple[SourceFile, ...], folder: Path
) -> None:
    with RangeServer(folder) as server:
        server.misbehave("*.fits", Fault("status", 503))
        with pytest.raises(RetryError) as raised:
            batches(block_of(served(files, folder, server.url)))
    assert raised.value.kind == "sources-failing"
    assert "8 files in a row" in raised.value.got
    assert "the same command continues" in raised.value.remedy


def test_a_server_that_is_away_is_not_the_files_fault(files: tuple[SourceFile, ...], folder: Path) -> None:
    with RangeServer(folder) as server:
        block = block_of(served(files, folder, server.url))
        server.misbehave("*", Fault("status", 503))
        with BlockReader(block, DESI_GRID, SourceHealth()) as reader:
            with pytest.raises(RetryError) as raised:
                list(reader)
            assert not reader.unreadable
    assert raised.value.kind == "read-interrupted"


def test_failures_count_in_a_row_only() -> None:
    health, error = SourceHealth(), QuarantineError("A source file could not be read.", where="x", got="y")
    for _ in range(3):
        for _ in range(7):
            health.failed(error)
        health.answered()
    for _ in range(7):
        health.failed(error)
    with pytest.raises(RetryError, match="One source file after the other"):
        health.failed(error)
