"""A URL with a secret is refused wherever one can be given, and the secret is nowhere afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.attribution.occlusion.settings import OcclusionSettings
from engine.query.query import QuerySettings, query
from engine.report.page import write_report
from engine.store.objects import ObjectTree
from engine.store.status import status_of
from engine.store.store import Store
from engine.store.verify import verify
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from engine.training.request import TrainingRequest
from flows.command_line import run_command
from flows.run.request import RunRequest
from flows.spectrum.explain_spectrum import SpectrumRequest
from models.errors import InputError
from tests.servers.http_ranges import RangeServer
from tests.small_run import SPECTRA, small_options, tree_bytes
from tests.synthetic_store import synthetic_store

HUNTER = "hunter2"
URLS = {
    "password": "https://me:hunter2@localhost:9/dr1/coadd-main-dark-1.fits",
    "user": "https://hunter2@localhost:9/dr1/coadd-main-dark-1.fits",
    "access-key": "s3://AKIAIOSFODNN7EXAMPLE:hunter2/x@bucket/coadd-main-dark-1.fits",
    "token": "https://localhost:9/coadd-main-dark-1.fits?ACCESS%5FTOKEN=hunter2",
    "signature": "https://localhost:9/coadd-main-dark-1.fits?sv=2024-11-04&se=2026-12-01&sp=r&sig=hunter2",
    "amazon": "https://localhost:9/coadd-main-dark-1.fits?X-Amz-Date=20261124T0000Z&X-Amz-Signature=hunter2",
    "fragment": "https://localhost:9/coadd-main-dark-1.fits#api_key=hunter2",
    "chain": "simplecache::s3://key:hunter2@bucket/coadd-main-dark-1.fits",
}
COMMANDS = {
    "run a directory": "run {url} --store {store}",
    "run files": "run /data/coadd-main-dark-2.fits {url} --store {store}",
    "run into a store": "run /data --store {url}",
    "run into a store, in one word": "run /data --store={url}",
    "run with a model": "run /data --store {store} --model desi-galaxy,{url}",
    "plan": "plan {url} --store {store}",
    "train": "train {url} -o {store}",
    "train into a directory": "train /data --model {url}",
    "cluster": "cluster {url}",
    "status": "status {url}",
    "verify": "verify {url}",
    "repair": "verify {url} --repair",
    "query": "query {url}",
    "query into a file": "query {store} -o {url}",
    "report": "report {url}",
    "report into a file": "report {store} -o {url}",
    "explain": "explain {url} --row 0",
    "explain into a file": "explain /data/coadd-main-dark-2.fits --row 0 -o {url}",
    "not a command": "run /data --store {store} --no-such-option {url}",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
@pytest.mark.parametrize("url", URLS.values(), ids=URLS.keys())
def test_every_command_refuses_it(
    command: str,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"FILE": "run.log", "FILE_LEVEL": "DEBUG", "LEVEL": "DEBUG"}.items():
        monkeypatch.setenv(f"WHYSPEC_LOG_{name}", value)
    tokens = command.format(url=url, store=tmp_path / "odd.zarr").split()
    assert run_command([*tokens, "--traceback"]) == 66
    shown = capsys.readouterr()
    assert "credentials-in-url" in shown.err
    assert "~/.config/fsspec" in " ".join(shown.err.split())
    assert HUNTER not in shown.out + shown.err
    assert run_command([*tokens, "--json"]) == 66
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["kind"] == "credentials-in-url"
    assert HUNTER not in json.dumps(told)
    assert [path.name for path in tmp_path.iterdir()] == ["run.log"]
    assert HUNTER.encode() not in (tmp_path / "run.log").read_bytes()


DOORS: dict[str, Callable[[str], object]] = {
    "listing of a directory": lambda url: list_release([url]),
    "listing of files": lambda url: list_release(["/data/coadd-main-dark-2.fits", url]),
    "request of a run": lambda url: RunRequest((url,), "odd.zarr"),
    "store of a run": lambda url: RunRequest(("/data",), url),
    "model of a run": lambda url: RunRequest(("/data",), "odd.zarr", models=("desi-galaxy", url)),
    "request of a training": lambda url: TrainingRequest((url,), "model", "model"),
    "directory of a training": lambda url: TrainingRequest(("/data",), url, "model"),
    "cache of a training": lambda url: TrainingRequest(("/data",), "model", "model", cache=url),
    "one spectrum": lambda url: SpectrumRequest(url, None, 0, None, OcclusionSettings()),
    "objects": ObjectTree,
    "store": Store.open,
    "whether there is a store": Store.exists,
    "verification": verify,
    "status": status_of,
    "query": lambda url: query(url, QuerySettings()),
    "report": lambda url: write_report(url, Path("odd.html")),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
@pytest.mark.parametrize("url", URLS.values(), ids=URLS.keys())
def test_so_does_every_function_that_a_notebook_calls(door: Callable[[str], object], url: str) -> None:
    with pytest.raises(InputError, match="holds credentials") as caught:
        door(url)
    assert HUNTER not in str(caught.value)


def test_a_local_name_that_a_download_left_is_refused_too(release: Path, tmp_path: Path) -> None:
    (coadd,) = list(release.rglob("coadd-*.fits"))[:1]
    name = tmp_path / f"{coadd.name}?X-Amz-Signature={HUNTER}"
    shutil.copy(coadd, name)
    with pytest.raises(InputError, match="holds credentials"):
        list_release([str(name)])
    with pytest.raises(InputError, match="holds credentials"):
        Store.open(str(tmp_path / f"odd.zarr?sig={HUNTER}"))


def test_a_file_of_an_index_whose_link_is_signed_is_quarantined(
    release: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WHYSPEC_LOG_FILE", str(tmp_path / "run.log"))
    signed = shutil.copytree(release, tmp_path / "release")
    (coadd, *_) = sorted(signed.rglob("coadd-*.fits"))
    shutil.copy(coadd, coadd.with_name(f"coadd-x.fits?sig={HUNTER}&as=coadd-main-dark-7.fits"))
    store = tmp_path / "odd.zarr"
    with RangeServer(signed) as web:
        options = [*small_options(store, model), "--layout", "files", "--json"]
        assert run_command(["run", web.url, *options]) == 3
        assert HUNTER not in web.url + repr(web.requests("*coadd-x*"))
    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert (summary["spectra"], summary["files_refused"]) == (SPECTRA, 1)
    (refused,) = summary["quarantined"]
    assert refused["kind"] == "credentials-in-url"
    assert "download the file" in refused["reason"]
    assert run_command(["report", str(store), "-o", str(tmp_path / "page.html"), "--top", "1"]) == 0
    assert run_command(["status", str(store), "--json"]) == 0
    after = capsys.readouterr()
    assert HUNTER not in shown.out + shown.err + after.out + after.err
    written = tree_bytes(store)
    assert written
    assert not [path for path, data in written.items() if HUNTER.encode() in data or HUNTER in path]
    for name in ("run.log", "page.html"):
        assert HUNTER.encode() not in (tmp_path / name).read_bytes()


def test_a_store_of_an_earlier_version_keeps_its_secrets_to_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"s3://me:{HUNTER}@bucket/dr1?token={HUNTER}"
    store = synthetic_store(tmp_path / "odd.zarr", spectra=20, root=root).url
    page, table = tmp_path / "page.html", tmp_path / "table.csv"
    for command in (
        f"status {store}",
        f"status {store} --json",
        f"verify {store} --json",
        f"query {store} --json",
        f"query {store} -o {table}",
        f"report {store} -o {page}",
    ):
        assert run_command(command.split()) == 0
    shown = capsys.readouterr()
    assert HUNTER not in shown.out + shown.err + page.read_text() + table.read_text()
    assert "s3://***@bucket/dr1?token=***" in table.read_text()


def test_a_harmless_query_string_is_read_and_kept(release: Path) -> None:
    with RangeServer(release) as web:
        coadds = [str(path.relative_to(release)) for path in sorted(release.rglob("coadd-*.fits"))]
        urls = [f"{web.url}/{path}?version=3&monkey=x" for path in coadds]
        listing = list_release(urls)
        assert [file.url for file in listing.files] == sorted(urls)
        assert listing.spectra == SPECTRA
        read = read_spectra(listing.files[0], 0, 3)
    assert len(read.flux) == 3
