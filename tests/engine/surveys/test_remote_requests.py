"""What reading over a network costs: bytes and requests, counted by the server."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.simulation.release import SimulationSettings, simulate_release
from engine.spectra.source_file import SourceFile
from engine.spectra.spectra import Spectra
from engine.surveys.reading import inspect, open_spectra, read_spectra
from tests.engine.surveys.coadd_files import CoaddContent, contents
from tests.servers.http_ranges import Fault, RangeServer

SPECTRA = 120


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coadd with its resolution matrices, 54 MB, and its redrock file."""
    directory = tmp_path_factory.mktemp("remote")
    settings = SimulationSettings("desi", SPECTRA, spectra_per_file=SPECTRA, seed=3)
    simulate_release(settings, directory / "iron")
    for path in (directory / "iron").rglob("*-main-*.fits"):
        shutil.copy(path, directory / path.name.replace("main-bright", "x"))
    return directory


@pytest.fixture
def server(release: Path) -> Iterator[RangeServer]:
    with RangeServer(release) as running:
        yield running


def names(release: Path) -> tuple[str, str]:
    return tuple(next(release.glob(f"{kind}-x-*.fits")).name for kind in ("coadd", "redrock"))  # type: ignore[return-value]


def here_and_there(release: Path, server: RangeServer) -> tuple[SourceFile, SourceFile]:
    local = inspect(*(str(release / name) for name in names(release)))
    remote = inspect(*(f"{server.url}/{name}" for name in names(release)))
    assert remote.fingerprint == local.fingerprint
    return local, remote


def assert_same(one: Spectra, other: Spectra) -> None:
    assert one.flux.tobytes() == other.flux.tobytes()
    assert one.ivar.tobytes() == other.ivar.tobytes()
    assert contents(one.rows) == contents(other.rows)


def test_a_whole_coadd_is_a_fifth_of_its_bytes_in_seven_requests(release: Path, server: RangeServer) -> None:
    local, remote = here_and_there(release, server)
    server.forget()
    assert_same(read_spectra(remote), read_spectra(local))
    size = (release / names(release)[0]).stat().st_size
    assert len(server.requests("coadd-*")) == 7  # HEAD, first headers, fibermap, three arms, the last header
    assert server.sent("coadd-*") < 0.22 * size
    assert len(server.requests("redrock-*")) == 2


def test_batches_cost_no_request_of_their_own(release: Path, server: RangeServer) -> None:
    local, remote = here_and_there(release, server)
    server.forget()
    with open_spectra(remote) as spectra:
        for start in range(0, SPECTRA, 16):
            stop = min(start + 16, SPECTRA)
            assert_same(spectra.read(start, stop), read_spectra(local, start, stop))
    # A request that a busy machine delays may be made once more.
    assert len(server.requests("coadd-*")) in (7, 8)


def test_of_a_slice_only_its_rows_travel(release: Path, server: RangeServer) -> None:
    local, remote = here_and_there(release, server)
    server.forget()
    with open_spectra(remote, 40, 60) as spectra:
        for start in (40, 50):
            assert_same(spectra.read(start, start + 10), read_spectra(local, start, start + 10))
        requests, sent = len(server.requests("coadd-*")), server.sent("coadd-*")
        assert requests <= 26
        assert sent < 20 * 96_000 + 500_000
        # Rows besides may be asked for too.
        assert_same(spectra.read(0, 70), read_spectra(local, 0, 70))


def test_headers_alone_are_half_a_percent_of_a_coadd(release: Path, server: RangeServer) -> None:
    here_and_there(release, server)
    assert server.sent("coadd-*") < 0.006 * (release / names(release)[0]).stat().st_size
    assert len(server.requests("coadd-*")) <= 16


def test_rows_are_fetched_in_windows_of_bounded_size(
    release: Path, server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.files.row_windows.WINDOW_BYTES", 30 * 96_000)
    local, remote = here_and_there(release, server)
    server.forget()
    with open_spectra(remote) as spectra:
        for start in range(0, SPECTRA, 8):
            assert_same(spectra.read(start, start + 8), read_spectra(local, start, start + 8))
        held = spectra.bytes_in_memory
    assert 0 < held < 2 * 30 * 96_000 + 700_000
    # Ten of the images and the fibermap for each further window; no row travels twice.
    assert len(server.requests("coadd-*")) <= 26 + 3 * 10
    assert server.sent("coadd-*") < 0.25 * (release / names(release)[0]).stat().st_size


def test_files_in_another_order_or_without_an_arm_read_the_same(tmp_path: Path) -> None:
    CoaddContent(count=60, arms=("B", "R")).write(tmp_path, "two.fits")
    CoaddContent(count=60, arms=("Z", "R", "B")).write(tmp_path, "turned.fits")
    with RangeServer(tmp_path) as server:
        for name in ("two", "turned"):
            paths = [f"{kind}-{name}.fits" for kind in ("coadd", "redrock")]
            local = inspect(*(str(tmp_path / path) for path in paths))
            remote = inspect(*(f"{server.url}/{path}" for path in paths))
            assert_same(read_spectra(remote), read_spectra(local))


def test_a_server_without_ranges_sends_each_file_once(release: Path, server: RangeServer) -> None:
    local, remote = here_and_there(release, server)
    server.misbehave("*", Fault("whole"))
    server.forget()
    with open_spectra(remote) as spectra:
        for start in range(0, SPECTRA, 40):
            assert_same(spectra.read(start, start + 40), read_spectra(local, start, start + 40))
    assert [one.method for one in server.requests("coadd-*")] == ["HEAD", "GET"]
    assert server.sent("coadd-*") == (release / names(release)[0]).stat().st_size


def test_a_compressed_coadd_travels_once_and_is_held_without_its_resolution(release: Path) -> None:
    coadd, redrock = names(release)
    packed = release / f"{coadd}.gz"
    packed.write_bytes(gzip.compress((release / coadd).read_bytes(), 1))
    local = inspect(str(release / coadd), str(release / redrock))
    with RangeServer(release) as server:
        for place in (str(release), server.url):
            file = inspect(f"{place}/{packed.name}", f"{place}/{redrock}")
            server.forget()
            with open_spectra(file) as spectra:
                assert_same(spectra.read(0, 50), read_spectra(local, 0, 50))
                assert_same(spectra.read(50, SPECTRA), read_spectra(local, 50, SPECTRA))
                assert spectra.bytes_in_memory < 0.25 * (release / coadd).stat().st_size
        assert server.sent("*.gz") < 1.01 * packed.stat().st_size
        assert len(server.requests("*.gz")) <= 2 + 4 * -(-packed.stat().st_size // (16 << 20)) + 4
