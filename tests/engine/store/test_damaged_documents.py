"""Every document of a store, damaged in every way: a damaged store is named, and never a bug of whyspec."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.clustering.pipeline import cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.query.query import QuerySettings, query
from engine.report.gather import explained_outliers, gather
from engine.store.checksummed import checksummed
from engine.store.status import status_of
from engine.store.store import Store
from engine.store.verify import verify
from flows.command_line import run_command
from models.errors import StoreError
from tests.engine.store.store_builders import mark_gone, mark_superseded
from tests.synthetic_store import synthetic_store

READERS: dict[str, Callable[[str], object]] = {
    "status": status_of,
    "query": lambda url: query(url, QuerySettings()),
    "report": lambda url: explained_outliers(gather(url), 1),
}
ALL, TABLES = tuple(READERS), ("query", "report")

DOCUMENTS = {
    "zarr.json": ALL,
    "spectra/zarr.json": (),
    "spectra/key/zarr.json": TABLES,
    "spectra/key/c/1": TABLES,
    "outliers/row/c/1": TABLES,
    "outliers/maps/zarr.json": ("report",),
    "outliers/wavelength/zarr.json": (),
    "clusters/default/zarr.json": TABLES,
    "clusters/default/label/c/0": TABLES,
    "ledger/score/00000001.json": ALL,
    "ledger/attribution/00000001.json": ALL,
    "ledger/gone/00000000.json": ALL,
    "ledger/clusters/default.json": TABLES,
    "ledger/plans/*.json": ("status", "report"),
    "ledger/plans/attribution-*.json": ("status",),
}
"""Documents and objects of a store, and the commands that read them."""

GONE = ("deleted", "a directory")
"""Ways after which an entry of the ledger is one of a block that is not finished."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete store with a clustering, and with flags of both kinds."""
    return _filled(tmp_path_factory.mktemp("damaged") / "odd.zarr", "release", 130)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another such store."""
    return _filled(tmp_path_factory.mktemp("other") / "odd.zarr", "another", 90)


def _filled(path: Path, root: str, spectra: int) -> Path:
    made = Store.open(synthetic_store(path, spectra=spectra, root=root).url)
    mark_superseded(made, [2, 70])
    mark_gone(made, [4])
    cluster_store(made.url, ClusteringSettings(clusters=2, resamples=2))
    return path


def _numbers(data: bytes, change: Callable[[object], object]) -> bytes:
    """A document whose every number was changed, with the checksum that it must then have."""

    def changed(value: object) -> object:
        if isinstance(value, dict):
            return {name: changed(part) for name, part in value.items()}
        if isinstance(value, list):
            return [changed(part) for part in value]
        return change(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    body = json.loads(data)
    found = changed({name: part for name, part in body.items() if name != "checksum"})
    assert isinstance(found, dict)
    return checksummed(found) if "checksum" in body else json.dumps(found).encode()


DEEP = b'{"attributes":' + b"[" * 100_000 + b"]" * 100_000 + b',"checksum":"0"}'
CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: bytes(len(data)),
    "a list": lambda data: b"[" + data + b"]",
    "deep": lambda data: DEEP + data[:0],
    "NaN": lambda data: _numbers(data, lambda _: 0.5).replace(b"0.5", b"NaN"),
    "huge": lambda data: _numbers(data, lambda _: 10**15),
    "texts": lambda data: _numbers(data, str),
}


def _make_directory(path: Path) -> None:
    path.mkdir()


OTHERS: dict[str, Callable[[Path], None]] = {
    "deleted": lambda path: path.unlink(missing_ok=True),
    "a directory": _make_directory,
    "a link": lambda path: path.symlink_to("nowhere"),
    "a pipe": os.mkfifo,
}


@contextmanager
def damaged(path: Path, way: str, other: Path) -> Iterator[bool]:
    """The store with that object damaged; false if it cannot be in this way. Mended afterwards."""
    data = path.read_bytes()
    path.unlink()
    if way in OTHERS:
        OTHERS[way](path)
    elif way == "another store's":
        path.write_bytes(other.read_bytes())
    elif path.suffix == ".json" or way in ("cut", "zeroed"):
        path.write_bytes(CONTENTS[way](data))
    try:
        yield path.is_symlink() or not path.is_file() or path.read_bytes() != data
    finally:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(data)


def _place(store: Path, document: str) -> Path:
    return min(path for path in store.glob(document) if path.name.count("-") == document.count("-"))


@pytest.mark.parametrize("way", [*OTHERS, *CONTENTS, "another store's"])
def test_a_damaged_document_is_named_and_no_bug(store: Path, other: Path, way: str) -> None:
    for document, readers in DOCUMENTS.items():
        place = _place(store, document)
        path = place.relative_to(store)
        names = [str(path), str(path).partition("/c/")[0]]
        with damaged(place, way, _place(other, document)) as is_damaged:
            told = {name: _told(READERS[name], str(store)) for name in readers}
        if not is_damaged or way == "another store's":
            continue  # what does not fit it is named
        assert all(not text or any(name in text for name in names) for text in told.values()), told
        is_lost = way in GONE and "ledger/" in document
        assert is_lost or all(told.values()), (document, told)
    assert verify(str(store)).ok


def _told(read: Callable[[str], object], url: str) -> str:
    """What is told of the damage; empty if the command did its work."""
    try:
        read(url)
    except StoreError as error:
        return f"{error.where} {error.got} {error.remedy}"
    return ""


def test_the_commands_end_with_the_status_of_a_damaged_store(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    copy = shutil.copytree(store, tmp_path / "odd.zarr")
    (copy / "ledger/score/00000001.json").write_bytes(DEEP)
    output = ["-o", str(tmp_path / "odd.html")]
    for command in (["status"], ["query"], ["report", *output], ["verify"], ["cluster"]):
        assert run_command([command[0], str(copy), *command[1:]]) == 65
        shown = "".join(capsys.readouterr())
        assert "ledger/score/00000001.json" in shown
        assert "verify --repair" in shown
