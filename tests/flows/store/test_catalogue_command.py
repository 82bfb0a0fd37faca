"""A catalogue as its user meets it: made by a command, checked by verify, made anew by --repair."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.store.verify import verify
from flows.command_line import run_command
from flows.store.repair import repair
from infra.settings import Settings
from tests.synthetic_store import SyntheticStore, synthetic_store


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    return synthetic_store(tmp_path_factory.mktemp("command") / "odd.zarr")


@pytest.fixture
def url(plain: SyntheticStore, tmp_path: Path) -> Path:
    copy = tmp_path / "odd.zarr"
    shutil.copytree(plain.url, copy)
    return copy


def made(url: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, object]:
    assert run_command(["catalogue", str(url), "--json", *options]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_the_command_makes_completes_and_makes_anew(url: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(str(url)).not_in_catalogue == 6
    first = made(url, capsys)
    assert (first["written"], first["rows"], first["parts"], first["anew"]) == (188, 188, 2, "")
    assert made(url, capsys)["written"] == 0
    again = made(url, capsys, "--anew")
    assert (again["written"], again["anew"]) == (188, "it was asked for")
    found = verify(str(url))
    assert found.ok
    assert found.not_in_catalogue == 0


def test_a_query_says_that_the_catalogue_lacks_blocks(url: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["query", str(url), "--top", "1"]) == 0
    assert "The catalogue lacks 6 blocks, read from the arrays" in capsys.readouterr().err
    made(url, capsys)
    assert run_command(["query", str(url), "z < 0.1", "--count"]) == 0
    out, err = capsys.readouterr()
    assert out.strip().isdecimal()
    assert "catalogue" not in err


def wrong_bytes(url: Path) -> str:
    path = min((url / "catalogue").glob("*.parquet"))
    path.write_bytes(bytes(len(path.read_bytes())))
    return "wrong-digest"


def no_manifest(url: Path) -> str:
    (url / "catalogue" / "manifest.json").write_text("{}")
    return "catalogue-damaged"


def other_entry(url: Path) -> str:
    store = url / "ledger" / "score" / "00000001.json"
    catalogue = url / "catalogue" / "manifest.json"
    text = catalogue.read_text().replace('"index":1', '"index":7')
    body = json.loads(text)
    del body["checksum"]
    from engine.store.checksummed import checksummed

    catalogue.write_bytes(checksummed(body))
    assert store.exists()
    return "catalogue-stale"


@pytest.mark.parametrize("damage", [wrong_bytes, no_manifest, other_entry])
def test_what_verify_finds_repair_makes_anew(
    url: Path, capsys: pytest.CaptureFixture[str], damage: object
) -> None:
    made(url, capsys)
    kind = damage(url)  # type: ignore[operator]
    before = verify(str(url))
    assert {fault.kind for fault in before.faults} == {kind}
    assert all("--repair" in fault.remedy for fault in before.faults)
    done = repair(str(url), Settings())
    assert done.ok
    assert (done.scored, done.explained, done.unrepairable) == (0, 0, ())
    assert done.after.not_in_catalogue == 0
    assert verify(str(url)).ok


def test_what_a_killed_update_left_is_no_fault(url: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(url, capsys)
    (url / "catalogue" / f"{'0' * 32}.parquet").write_bytes(b"left")
    assert verify(str(url)).ok
    (url / "catalogue" / "notes.txt").write_bytes(b"mine")
    assert [fault.kind for fault in verify(str(url)).faults] == ["unexpected-object"]
    made(url, capsys)
    assert not (url / "catalogue" / f"{'0' * 32}.parquet").exists()
