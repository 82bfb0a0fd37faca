"""An S3 on loopback (moto) that counts its requests and fails on order."""

from __future__ import annotations

import atexit
import fnmatch
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

from engine.files import file_systems

KEY, SECRET = "AKIAWHYSPECTESTS0001", "secret-of-the-tests-that-must-not-be-stored"
BUCKET = "whyspec-tests"

_NOWHERE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_DEFAULT_REGION": "us-east-1",
}
_REPLACED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")

_CODES = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown"}


@dataclass(frozen=True, slots=True)
class S3Request:
    """One request as it arrived: ``path`` is bucket and key; ``signed`` is whether it names an account;
    ``sent`` are the bytes of content that it was answered with.
    """

    method: str
    path: str
    signed: bool
    status: int
    sent: int = 0


@dataclass
class _Order:
    method: str
    pattern: str
    code: int
    seconds: float
    after: int
    times: int | None


class S3Server:
    """moto's S3 behind a counter, at ``url`` while it is entered."""

    def __init__(self) -> None:
        # Not behind moto's dispatcher, which looks through the folders of all services at every request.
        self._moto = create_backend_app("s3")
        self._requests: list[S3Request] = []
        self._orders: list[_Order] = []
        self._lock = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_QuietHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The endpoint's URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def environment(self, *, keys: bool) -> dict[str, str]:
        """Variables of a user with or without an account, whoever runs the tests."""
        account = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET} if keys else {}
        return {**_NOWHERE, "AWS_ENDPOINT_URL": self.url, **account}

    def misbehave(
        self,
        method: str,
        pattern: str,
        code: int = 503,
        *,
        seconds: float = 0.0,
        after: int = 0,
        times: int | None = None,
    ) -> None:
        """Answer matching requests with ``code`` after ``seconds``: not the first ``after`` of them, and
        then ``times`` (``None``: all).
        """
        with self._lock:
            self._orders.append(_Order(method, pattern, code, seconds, after, times))

    def behave(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._orders.clear()

    def forget(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._requests.clear()

    def requests(self, method: str = "*", pattern: str = "*") -> list[S3Request]:
        """Requests so far."""
        with self._lock:
            return [
                one
                for one in self._requests
                if fnmatch.fnmatch(one.method, method) and fnmatch.fnmatch(one.path, pattern)
            ]

    def client(self) -> Any:
        """A boto3 client of the owner."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )

    def upload(self, directory: Path, prefix: str, *, public: bool = False) -> str:
        """Put a directory's files below a prefix; the prefix' URL."""
        client = self.client()
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(directory)}"
                acl = "public-read" if public else "private"
                client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes(), ACL=acl)
        return f"s3://{BUCKET}/{prefix}"

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Every object below a prefix with its bytes, from where moto has them: requests take seconds."""
        keys = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET].keys
        return {
            name.removeprefix(f"{prefix}/"): keys[name].value
            for name in sorted(keys)
            if name.startswith(f"{prefix}/")
        }

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].lstrip("/")
        signed = "HTTP_AUTHORIZATION" in environ
        order = self._order(method, path)
        if order is not None:
            time.sleep(order.seconds)
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            self._note(S3Request(method, path, signed, order.code))
            phrase = HTTPStatus(order.code).phrase
            code = _CODES.get(order.code, "UnknownError")
            body = f"<Error><Code>{code}</Code><Message>{phrase}</Message></Error>".encode()
            start(f"{order.code} {phrase}", [("Content-Length", str(len(body)))])
            return [b"" if method == "HEAD" else body]

        def counted(status: str, headers: Any, *rest: Any) -> Any:
            length = dict(headers).get("Content-Length", dict(headers).get("content-length", 0))
            sent = 0 if method == "HEAD" else int(length)
            self._note(S3Request(method, path, signed, int(status.split()[0]), sent))
            return start(status, headers, *rest)

        answer: Iterable[bytes] = self._moto(environ, counted)
        return answer

    def _order(self, method: str, path: str) -> _Order | None:
        with self._lock:
            for order in self._orders:
                if fnmatch.fnmatch(method, order.method) and fnmatch.fnmatch(path, order.pattern):
                    if order.after > 0:
                        order.after -= 1
                    elif order.times != 0:
                        order.times = None if order.times is None else order.times - 1
                        return order
        return None

    def _note(self, request: S3Request) -> None:
        with self._lock:
            self._requests.append(request)


class _QuietHandler(MotoRequestHandler):
    def log_request(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def user_of(server: S3Server, *, keys: bool) -> Iterator[None]:
    """Be a user of the server, with or without an account, in this process."""
    # No file system is closed: with an account and without they are told apart by their options, and
    # the summary of these tests is always the same.
    with pytest.MonkeyPatch.context() as patch:
        for name in _REPLACED:
            patch.delenv(name, raising=False)
        for name, value in server.environment(keys=keys).items():
            patch.setenv(name, value)
        file_systems.has_credentials.cache_clear()
        yield
    file_systems.has_credentials.cache_clear()


@cache
def _server() -> S3Server:
    """One server for all tests, to the end of the process: fsspec keeps file systems with their endpoint,
    and a fixture that several modules import would start a server for each of them.
    """
    server = S3Server()
    server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    server.client().create_bucket(Bucket=BUCKET)
    return server


@pytest.fixture(scope="session")
def s3() -> S3Server:
    """The server with one bucket."""
    return _server()


@pytest.fixture
def s3_user(s3: S3Server) -> Iterator[S3Server]:
    """The server, for a user with credentials in the environment; well-behaved again afterwards."""
    s3.forget()
    with user_of(s3, keys=True):
        yield s3
    s3.behave()


@pytest.fixture
def s3_visitor(s3: S3Server) -> Iterator[S3Server]:
    """The server, for a user without any account."""
    s3.forget()
    with user_of(s3, keys=False):
        yield s3
    s3.behave()
