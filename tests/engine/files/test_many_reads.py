"""First bytes of many files: only files whose fault may pass are asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.files import many_reads
from engine.files.file_systems import fault_of
from engine.files.many_reads import first_bytes
from tests.servers.http_ranges import Fault, RangeServer


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeServer]:
    monkeypatch.setattr(many_reads, "FIRST_PAUSE", 0.01)
    for number in range(4):
        (tmp_path / f"{number}").write_bytes(bytes([number]) * 100)
    with RangeServer(tmp_path) as server:
        yield server


def asked(web: RangeServer, name: str) -> int:
    return len(web.requests(name, "GET"))


def test_only_what_failed_is_asked_for_again(web: RangeServer) -> None:
    web.misbehave("1", Fault("status", 503), times=2)
    web.misbehave("2", Fault("status", 403))
    urls = [f"{web.url}/{number}" for number in range(4)]
    found = list(first_bytes(urls, 10))
    assert found[0] == bytes(10)
    assert found[1] == b"\x01" * 10
    assert isinstance(found[2], Exception)
    assert fault_of(found[2]) == "refused"
    assert found[3] == b"\x03" * 10
    assert [asked(web, str(number)) for number in range(4)] == [1, 3, 1, 1]


def test_a_fault_that_does_not_pass_is_the_answer(web: RangeServer) -> None:
    web.misbehave("1", Fault("status", 503))
    ours, theirs = first_bytes([f"{web.url}/0", f"{web.url}/1"], 10)
    assert ours == bytes(10)
    assert isinstance(theirs, Exception)
    assert fault_of(theirs) == "passing"
    assert [asked(web, name) for name in "01"] == [1, many_reads.ATTEMPTS]


def test_files_on_a_disk_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"short")
    there, missing = first_bytes([str(tmp_path / "a"), str(tmp_path / "b")], 10)
    assert there == b"short"
    assert isinstance(missing, FileNotFoundError)
