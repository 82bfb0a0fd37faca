"""Releases and stores behind HTTP and S3: the same stores as from a disk, few bytes, no secrets."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.simulation.release import SimulationSettings, simulate_release
from engine.store.verify import verify
from flows.command_line import run_command
from flows.run.request import RunSummary
from flows.run_release import run_release
from infra.settings import Settings
from models.errors import InputError
from tests.forked_commands import forked_whyspec
from tests.servers.http_ranges import Fault, RangeServer
from tests.servers.s3 import BUCKET, KEY, SECRET, S3Server
from tests.small_run import SPECTRA, THRESHOLD, small_options, small_request, tree_bytes, whyspec

HEADER_BYTES = 150_000
"""At most this much of a file is read when it is listed, however large it is."""

Run = Callable[[str, str], RunSummary]


@pytest.fixture
def run(model: Path) -> Run:
    """Run a release, by path or URL, into a store, by path or URL."""

    def run_small(release: str, store: str) -> RunSummary:
        request = replace(small_request(Path(), Path(), model), release=(release,), store=store)
        return run_release(request, Settings())

    return run_small


@pytest.fixture(scope="module")
def local(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the small release, read from disk and written to disk; not to be changed."""
    store = tmp_path_factory.mktemp("local") / "odd.zarr"
    run_release(small_request(release, store, model), Settings())
    return store


@pytest.fixture
def web(release: Path) -> Iterator[RangeServer]:
    """The small release on a web server."""
    with RangeServer(release) as server:
        yield server


def arrays(objects: dict[str, bytes]) -> dict[str, bytes]:
    """What a store holds besides the place that its spectra came from, which its catalogue has, too."""
    placed = ("ledger/", "spectra/source/c/", "catalogue/")
    return {path: data for path, data in objects.items() if not path.startswith(placed)}


def check_same(store: Path, local: Path) -> None:
    """Assert that a store equals the local one, object by object, wherever its spectra came from."""
    ours, theirs = arrays(tree_bytes(store)), arrays(tree_bytes(local))
    assert list(ours) == list(theirs)
    assert [path for path in ours if ours[path] != theirs[path]] == []
    assert len(tree_bytes(store)) == len(tree_bytes(local))


def test_a_release_on_a_web_server(run: Run, web: RangeServer, local: Path, tmp_path: Path) -> None:
    store = tmp_path / "odd.zarr"
    first = run(web.url, str(store))
    assert (first.files_new, first.spectra, first.quarantined) == (4, SPECTRA, ())
    check_same(store, local)
    assert verify(str(store)).ok
    before = tree_bytes(store)
    web.forget()
    again = run(web.url, str(store))
    assert (again.did_something, again.files_unchanged) == (False, 4)
    assert tree_bytes(store) == before
    assert web.sent("*.fits") < 8 * HEADER_BYTES


def test_a_web_server_without_listings_gives_the_files_that_are_named(
    run: Run, release: Path, model: Path, local: Path, tmp_path: Path
) -> None:
    with RangeServer(release, listing=False) as web:
        with pytest.raises(InputError, match="cannot be read") as caught:
            run(web.url, str(tmp_path / "odd.zarr"))
        assert caught.value.kind == "unreadable-path"
        assert "403" in caught.value.got
        assert "name the files" in caught.value.remedy
        urls = [f"{web.url}/{path.relative_to(release)}" for path in sorted(release.rglob("coadd-*.fits"))]
        request = small_request(Path(), tmp_path / "odd.zarr", model)
        summary = run_release(replace(request, release=tuple(urls)), Settings())
        assert (summary.files_new, summary.spectra, summary.quarantined) == (4, SPECTRA, ())
    check_same(tmp_path / "odd.zarr", local)


def test_a_web_server_that_ignores_ranges_costs_bytes_but_no_spectrum(
    run: Run, web: RangeServer, local: Path, tmp_path: Path
) -> None:
    web.misbehave("*.fits", Fault("whole"))
    assert run(web.url, str(tmp_path / "odd.zarr")).quarantined == ()
    check_same(tmp_path / "odd.zarr", local)


def test_compressed_files_on_a_web_server(run: Run, release: Path, local: Path, tmp_path: Path) -> None:
    packed = shutil.copytree(release, tmp_path / "packed")
    for path in [*packed.rglob("coadd-*.fits"), *packed.rglob("redrock-*.fits")]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
    with RangeServer(packed) as web:
        summary = run(web.url, str(tmp_path / "odd.zarr"))
    assert (summary.files_new, summary.spectra, summary.quarantined) == (4, SPECTRA, ())
    check_same(tmp_path / "odd.zarr", local)


def test_a_quarter_of_the_coadds_travels(model: Path, tmp_path: Path) -> None:
    settings = SimulationSettings("desi", 60, 0.2, 5, spectra_per_file=60, resolution=True)
    release = simulate_release(settings, tmp_path / "release").path
    whole = sum(path.stat().st_size for path in release.rglob("coadd-*.fits"))
    with RangeServer(release) as web:
        request = small_request(Path(), tmp_path / "odd.zarr", model)
        run_release(replace(request, release=(web.url,), block_rows=64), Settings())
        sent = web.sent("*coadd-*.fits")
    assert sent < 0.25 * whole
    # Flux, ivar and mask of 7,958 pixels are 95,496 bytes per spectrum: nearly all that is asked for.
    assert sent > 60 * 95_496


def test_credentials_in_a_url_are_refused_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    for url in (
        "https://reader:hunter2@data.example.org/iron",
        "https://data.example.org/x?X-Amz-Signature=hunter2",
    ):
        with pytest.raises(InputError, match="holds credentials") as caught:
            run(url, str(tmp_path / "odd.zarr"))
        assert "hunter2" not in str(caught.value)
    with pytest.raises(InputError, match="holds credentials"):
        run(str(tmp_path), "s3://key:hunter2@bucket/odd.zarr")
    assert not (tmp_path / "odd.zarr").exists()


def test_a_public_bucket_is_read_without_an_account(
    run: Run, s3_visitor: S3Server, release: Path, local: Path, tmp_path: Path
) -> None:
    url = s3_visitor.upload(release, "public", public=True)
    s3_visitor.forget()
    store = tmp_path / "odd.zarr"
    assert run(url, str(store)).spectra == SPECTRA
    check_same(store, local)
    assert not any(request.signed for request in s3_visitor.requests())
    assert not run(url, str(store)).did_something


def test_a_bucket_that_is_not_public_says_so(
    run: Run, s3_visitor: S3Server, release: Path, tmp_path: Path
) -> None:
    url = s3_visitor.upload(release, "private")
    with pytest.raises(InputError, match="no file of spectra that can be used") as caught:
        run(url, str(tmp_path / "odd.zarr"))
    assert str(caught.value.got).startswith("4 unreadable-file")


@pytest.mark.slow
def test_from_a_bucket_into_a_bucket(
    run: Run,
    s3_user: S3Server,
    release: Path,
    local: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = s3_user.upload(release, "desi")
    store = f"s3://{BUCKET}/results/odd.zarr"
    assert run(url, store).spectra == SPECTRA
    written = s3_user.objects("results/odd.zarr")
    ours, theirs = arrays(written), arrays(tree_bytes(local))
    assert list(ours) == list(theirs)
    assert [path for path in ours if ours[path] != theirs[path]] == []
    assert all(request.signed for request in s3_user.requests())
    assert not run(url, store).did_something
    assert s3_user.objects("results/odd.zarr") == written
    assert not any(SECRET.encode() in data or KEY.encode() in data for data in written.values())

    assert run_command(["verify", store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert run_command(["query", store, "--top", "3", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert run_command(["cluster", store, "--json"]) == 0
    assert run_command(["report", store, "-o", str(tmp_path / "page.html"), "--top", "1"]) == 0
    assert "<html" in (tmp_path / "page.html").read_text()
    assert verify(store).ok
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err


def test_a_disk_and_a_bucket_hold_the_same_objects(
    run: Run, s3_user: S3Server, release: Path, local: Path
) -> None:
    run(str(release), f"s3://{BUCKET}/from-disk.zarr")
    assert s3_user.objects("from-disk.zarr") == tree_bytes(local)


def test_credentials_of_a_profile(s3: S3Server, release: Path, model: Path, tmp_path: Path) -> None:
    profiles = tmp_path / "credentials"
    profiles.write_text(f"[survey]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    url = s3.upload(release, "by-profile")
    user = {"AWS_SHARED_CREDENTIALS_FILE": str(profiles), "AWS_PROFILE": "survey"}
    options = ["--store", tmp_path / "odd.zarr", "--model", model, "--threshold", THRESHOLD, "--json"]
    done = forked_whyspec("plan", url, *options, **{**s3.environment(keys=False), **user})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spectra"] == SPECTRA


@pytest.mark.slow
def test_ray_workers_find_the_bucket_and_the_credentials_too(
    s3: S3Server, release: Path, model: Path, local: Path
) -> None:
    url = s3.upload(release, "for-ray")
    store = f"s3://{BUCKET}/by-ray.zarr"
    options = small_options(Path("store"), model, "ray")[2:]
    done = whyspec(
        "run", url, "--store", store, *options, "--workers", 2, "--json", **s3.environment(keys=True)
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spectra"] == SPECTRA
    assert SECRET not in done.stdout + done.stderr
    ours, theirs = arrays(s3.objects("by-ray.zarr")), arrays(tree_bytes(local))
    assert ours == theirs


def test_plan_reads_headers_and_tables_of_redshifts_only(
    web: RangeServer, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "odd.zarr")
    assert (
        run_command(
            [
                "plan",
                web.url,
                "--store",
                store,
                "--model",
                str(model),
                "--threshold",
                str(THRESHOLD),
                "--json",
            ]
        )
        == 0
    )
    planned = json.loads(capsys.readouterr().out)
    assert planned["files"]["new"] == 4
    assert planned["spectra"] == SPECTRA
    assert not Path(store).exists()
    assert web.sent("*.fits") < 10 * HEADER_BYTES
