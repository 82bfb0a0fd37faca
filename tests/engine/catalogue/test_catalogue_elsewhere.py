"""A catalogue on S3 and on a web server: the same answers, few bytes, nothing written, no secret told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.catalogue.building import update_catalogue
from engine.catalogue.reading import Catalogue
from engine.query.query import QuerySettings, query
from engine.store.reading import StoreView
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from flows.bench.query import simulated_store
from flows.bench.simulated_arrays import target_ids
from flows.command_line import run_command
from models.errors import RetryError, StoreError
from tests.servers.http_ranges import RangeServer
from tests.servers.s3 import KEY, SECRET, S3Server, s3, s3_user
from tests.synthetic_store import FIRST_TARGET, SyntheticStore, synthetic_store

__all__ = ["s3", "s3_user"]

EXPLAINED = FIRST_TARGET + 1
SETTINGS = (
    QuerySettings(),
    QuerySettings(target_ids=(EXPLAINED, FIRST_TARGET + 140, 7)),
    QuerySettings(top=5, status="scored", where="z between 0.05 and 0.25", order=("snr:desc",)),
)
ROWS = 100_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    """A store whose catalogue lacks the last blocks."""
    made = synthetic_store(tmp_path_factory.mktemp("elsewhere") / "odd.zarr")
    store = Store.open(made.url)
    whole = Snapshot.read(store.ledger)
    some = replace(
        whole, scored=dict(list(whole.scored.items())[:2]), explained=dict(list(whole.explained.items())[:2])
    )
    update_catalogue(store, some)
    return made


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a catalogue of many rows, and empty arrays."""
    path = tmp_path_factory.mktemp("large") / "odd.zarr"
    simulated_store(str(path), ROWS, lambda _: None)
    return path


@pytest.fixture
def web(small: SyntheticStore, large: Path) -> Iterator[RangeServer]:
    """The directory above that of either store on a web server."""
    with RangeServer(large.parents[1]) as server:
        yield server


def shown(url: str, capsys: pytest.CaptureFixture[str]) -> object:
    assert run_command(["show", url, str(EXPLAINED), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_s3_answers_as_a_disk_does_and_nothing_is_written(
    small: SyntheticStore, s3_user: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    url = s3_user.upload(Path(small.url), "elsewhere/small.zarr")
    for method in ("PUT", "POST", "DELETE"):
        s3_user.misbehave(method, "*", 403)
    s3_user.forget()
    for settings in SETTINGS:
        pd.testing.assert_frame_equal(query(url, settings), query(small.url, settings))
    assert shown(url, capsys) == shown(small.url, capsys)
    assert {each.method for each in s3_user.requests()} <= {"GET", "HEAD"}
    told = capsys.readouterr()
    assert KEY not in told.err
    assert SECRET not in told.err


def test_a_web_server_answers_as_a_disk_does(
    small: SyntheticStore, web: RangeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{web.url}/{Path(small.url).parent.name}/odd.zarr"
    for settings in SETTINGS:
        pd.testing.assert_frame_equal(query(url, settings), query(small.url, settings))
    assert shown(url, capsys) == shown(small.url, capsys)


def one_row(number: int) -> QuerySettings:
    return QuerySettings(target_ids=(int(target_ids(np.array([number]))[0]),))


def test_one_spectrum_on_s3_takes_few_bytes_of_many(large: Path, s3_user: S3Server) -> None:
    url = s3_user.upload(large, "elsewhere/large.zarr")
    whole = sum(path.stat().st_size for path in (large / "catalogue").iterdir())
    s3_user.forget()
    found = query(url, one_row(ROWS // 2))
    pd.testing.assert_frame_equal(found, query(str(large), one_row(ROWS // 2)))
    tables = s3_user.requests("GET", "*.parquet")
    (block,) = s3_user.requests("GET", "*.names")
    assert block.sent == 32
    assert len(tables) <= 30
    assert sum(each.sent for each in tables) < whole / 4  # one group of rows, of four
    s3_user.forget()
    assert query(url, QuerySettings(target_ids=(7,)))["status"].tolist() == ["not_in_store"]
    assert [each.sent for each in s3_user.requests("GET", "*.names")] == [32]
    opened = {each.path.partition(".zarr/")[2] for each in s3_user.requests("GET", "*.parquet")}
    contents = {
        file.object.path: file.content
        for part in Catalogue.of(StoreView.open(str(large))).parts
        for file in part.files
    }
    assert {contents[path] for path in opened} <= {"explanations"}


def test_one_spectrum_on_a_web_server_takes_few_bytes_of_many(large: Path, web: RangeServer) -> None:
    url = f"{web.url}/{large.parent.name}/odd.zarr"
    whole = sum(path.stat().st_size for path in (large / "catalogue").iterdir())
    found = query(url, one_row(ROWS // 3))
    pd.testing.assert_frame_equal(found, query(str(large), one_row(ROWS // 3)))
    assert web.sent("*.names") == 32
    assert web.sent("*.parquet") < whole / 3


def test_a_fault_of_the_network_is_no_damage_and_damage_tells_no_secret(
    large: Path, s3_user: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    url = s3_user.upload(large, "elsewhere/faults.zarr")
    s3_user.misbehave("GET", "*.parquet", 503)
    with pytest.raises(RetryError, match="could not be read") as passing:
        query(url, one_row(1))
    s3_user.behave()
    for path in (large / "catalogue").glob("*.parquet"):
        key = f"{url.removeprefix('s3://').partition('/')[2]}/catalogue/{path.name}"
        s3_user.client().put_object(
            Bucket=url.split("/")[2], Key=key, Body=b"PAR1" + bytes(path.stat().st_size - 8) + b"PAR1"
        )
    with pytest.raises(StoreError, match="catalogue is damaged") as damaged:
        query(url, one_row(1))
    told = f"{passing.value} {damaged.value} {caplog.text}"
    for secret in (KEY, SECRET, s3_user.url):
        assert secret not in told
