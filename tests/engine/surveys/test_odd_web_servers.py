"""Web servers that compress, that know no lengths or ranges, or that announce an endless file."""

from __future__ import annotations

import gzip
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.surveys.listing import list_release
from engine.surveys.reading import inspect, read_spectra
from models.errors import QuarantineError
from tests.engine.surveys.coadd_files import CoaddContent, contents
from tests.servers.http_ranges import Fault, RangeServer

NAMES = ("coadd-x.fits", "redrock-x.fits")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    CoaddContent(count=3).write(tmp_path, "x.fits")
    for name in NAMES:
        packed = gzip.compress((tmp_path / name).read_bytes(), 1)
        (tmp_path / f"{name}.gz").write_bytes(packed)
    with RangeServer(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("ending", "fault"),
    [
        ("", Fault("chunked")),
        (".gz", Fault("chunked")),
        ("", Fault("encoded")),
        (".gz", Fault("labelled")),
        (".gz", Fault("labelled", encoding="x-gzip")),
        ("", Fault("whole")),
    ],
)
def test_files_read_the_same_however_a_server_sends_them(
    server: RangeServer, ending: str, fault: Fault
) -> None:
    here = read_spectra(inspect(*(str(server.directory / name) for name in NAMES)))
    server.misbehave("*.fits*", fault)
    there = read_spectra(inspect(*(f"{server.url}/{name}{ending}" for name in NAMES)))
    assert there.flux.tobytes() == here.flux.tobytes()
    assert contents(there.rows) == contents(here.rows)


def test_a_small_file_of_a_server_without_ranges_is_read_once(server: RangeServer) -> None:
    server.misbehave("*.fits*", Fault("chunked"))
    inspect(*(f"{server.url}/{name}" for name in NAMES))
    assert len([one for one in server.requests(NAMES[0], "GET") if one.range]) == 1


def test_a_chunked_file_that_is_cut_is_quarantined(server: RangeServer) -> None:
    path = server.directory / NAMES[0]
    path.write_bytes(path.read_bytes()[:-60_000])
    server.misbehave("*.fits*", Fault("chunked"))
    with pytest.raises(QuarantineError) as caught:
        inspect(f"{server.url}/{NAMES[0]}")
    assert caught.value.kind == "truncated-file"


def test_another_compression_is_named(server: RangeServer) -> None:
    server.misbehave("*.fits*", Fault("encoded", encoding="br"))
    with pytest.raises(QuarantineError, match="compresses a file in a way that is not read") as caught:
        inspect(f"{server.url}/{NAMES[0]}")
    assert caught.value.kind == "undecodable-file"
    assert caught.value.got == "Content-Encoding: br"


def test_an_endless_file_asks_for_no_memory(server: RangeServer) -> None:
    (server.directory / "two").mkdir()
    for name in ("coadd-y.fits", "coadd-z.fits"):
        shutil.copy(server.directory / NAMES[0], server.directory / "two" / name)
        shutil.copy(server.directory / NAMES[1], server.directory / "two" / name.replace("coadd", "redrock"))
    server.misbehave("two/coadd-y.fits", Fault("endless"))
    tracemalloc.start()
    listing = list_release([f"{server.url}/two"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert [file.url for file in listing.files] == [f"{server.url}/two/coadd-z.fits"]
    (refused,) = listing.refused
    assert refused.url == f"{server.url}/two/coadd-y.fits"
    assert refused.kind == "too-large"
    assert f"got: {1 << 60} bytes or more" in refused.reason
