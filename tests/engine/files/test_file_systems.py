"""What errors of remote file systems mean, and how long whyspec waits for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from engine.files import file_systems
from engine.files.file_systems import fault_of, open_file_system, retried, storage_options
from models.errors import InputError
from tests.servers.http_ranges import Fault, RangeServer
from tests.servers.s3 import BUCKET, S3Server, s3, s3_user, s3_visitor

__all__ = ["s3", "s3_user", "s3_visitor"]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[RangeServer]:
    (tmp_path / "x").write_bytes(bytes(1000))
    with RangeServer(tmp_path) as server:
        yield server


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_systems, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(file_systems, "READ_SECONDS", 0.2)


def failure(call: object, *arguments: object) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the question
        call(*arguments)  # type: ignore[operator]
    return caught.value


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (Fault("status", 404), "missing"),
        (Fault("status", 410), "missing"),
        (Fault("status", 401), "refused"),
        (Fault("status", 403), "refused"),
        (Fault("status", 408), "passing"),
        (Fault("status", 429), "passing"),
        (Fault("status", 500), "passing"),
        (Fault("status", 503), "passing"),
        (Fault("hang"), "passing"),
        (Fault("cut"), "passing"),
    ],
)
@pytest.mark.usefixtures("hasty")
def test_answers_of_a_web_server(web: RangeServer, fault: Fault, meaning: str) -> None:
    filesystem, path = open_file_system(f"{web.url}/x")
    web.misbehave("x", fault)
    assert fault_of(failure(filesystem.cat_file, path, 0, 900)) == meaning
    if fault.kind == "status":  # fsspec says of all of these that there is no such file
        assert fault_of(failure(filesystem.info, path)) == meaning


def test_a_web_server_that_is_not_there_may_come_back(web: RangeServer) -> None:
    filesystem, path = open_file_system("http://127.0.0.1:9/x")
    assert fault_of(failure(filesystem.cat_file, path)) == "passing"
    assert fault_of(failure(filesystem.info, path)) == "passing"


@pytest.mark.parametrize(
    ("code", "meaning"),
    [(404, "missing"), (403, "refused"), (400, "refused"), (429, "passing"), (500, "passing")],
)
def test_answers_of_a_bucket(s3_user: S3Server, code: int, meaning: str) -> None:
    s3_user.client().put_object(Bucket=BUCKET, Key="answers/x", Body=b"data")
    filesystem, path = open_file_system(f"s3://{BUCKET}/answers/x")
    s3_user.misbehave("GET", "*answers/x", code)
    assert fault_of(failure(filesystem.cat_file, path)) == meaning


def test_a_bucket_that_does_not_exist_is_missing(s3_user: S3Server) -> None:
    filesystem, path = open_file_system("s3://no-such-bucket/x")
    assert fault_of(failure(filesystem.cat_file, path)) == "missing"


def test_what_is_no_answer_is_left_alone() -> None:
    assert fault_of(KeyError("x")) == "other"
    assert fault_of(FileNotFoundError("x")) == "missing"
    assert fault_of(OSError(5, "Input/output error")) == "passing"


def test_a_silent_server_is_not_waited_for(
    web: RangeServer, monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    web.misbehave("x", Fault("hang", seconds=30))
    filesystem, path = open_file_system(f"{web.url}/x")
    begun = time.monotonic()
    failure(retried, lambda: filesystem.cat_file(path))
    assert time.monotonic() - begun < 5
    assert len(web.requests("x")) == file_systems.ATTEMPTS


def test_a_silent_bucket_is_not_waited_for(s3_user: S3Server, hasty: None) -> None:
    s3_user.client().put_object(Bucket=BUCKET, Key="silent/x", Body=b"data")
    s3_user.misbehave("GET", "*silent/x", seconds=1)
    filesystem, path = open_file_system(f"s3://{BUCKET}/silent/x")
    begun = time.monotonic()
    assert fault_of(failure(retried, lambda: filesystem.cat_file(path))) == "passing"
    assert time.monotonic() - begun < 15


def test_patience_ends_with_success_or_with_a_fault_that_lasts(web: RangeServer, hasty: None) -> None:
    filesystem, path = open_file_system(f"{web.url}/x")
    web.misbehave("x", Fault("status", 503), times=2)
    assert retried(lambda: filesystem.cat_file(path)) == bytes(1000)
    assert [request.status for request in web.requests("x")] == [503, 503, 200]
    web.forget()
    web.misbehave("x", Fault("status", 403))
    failure(retried, lambda: filesystem.cat_file(path))
    assert len(web.requests("x")) == 1


def test_time_outs_are_finite_for_pieces_and_not_for_wholes() -> None:
    timeout = storage_options("https://data.desi.lbl.gov/public")["client_kwargs"]["timeout"]
    assert (timeout.total, timeout.sock_connect, timeout.sock_read) == (None, 10.0, 30.0)
    assert storage_options("/data/iron") == storage_options("memory://x") == {}


def test_who_has_an_account_signs_and_who_has_none_does_not(s3: S3Server) -> None:
    from tests.servers.s3 import user_of

    with user_of(s3, keys=True):
        assert "anon" not in storage_options("s3://desidata/x")
    with user_of(s3, keys=False):
        assert storage_options("s3://desidata/x")["anon"] is True


def test_a_profile_that_does_not_exist_is_named(
    s3_visitor: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "surveyy")
    with pytest.raises(InputError, match="cannot be used") as caught:
        open_file_system("s3://desidata/x")
    assert "surveyy" in caught.value.got


def test_what_the_user_told_fsspec_goes_before(s3_visitor: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fsspec.config.conf, "s3", {"profile": "survey", "config_kwargs": {"read_timeout": 5}})
    assert storage_options("s3://desidata/x") == {"max_concurrency": 1}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"anon": True, "max_concurrency": 4})
    assert storage_options("s3://desidata/x").keys() == {"config_kwargs"}
    monkeypatch.setitem(fsspec.config.conf, "https", {"client_kwargs": {"trust_env": True}})
    assert storage_options("https://x/y")["client_kwargs"].keys() == {"timeout", "trust_env"}


@pytest.mark.parametrize(
    "url",
    [
        "https://reader:hunter2@data.example.org/iron",
        "s3://key:hunter2@bucket/odd.zarr",
        "https://bucket.s3.amazonaws.com/x.fits?X-Amz-Credential=me&X-Amz-Signature=hunter2",
    ],
)
def test_a_url_with_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InputError, match="holds credentials") as caught:
        open_file_system(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.kind == "credentials-in-url"
