"""File systems of fsspec as whyspec opens them, and what their errors mean.

A reader of public data has no account. So requests to ``s3://`` are not signed if the usual chain
(environment variables, profile, instance role) finds no credentials. The user's configuration of fsspec
(``FSSPEC_S3_ANON=true``, ``~/.config/fsspec``) overrides that. A URL never holds credentials: each process
finds its own.

No request waits for ever: :data:`CONNECT_SECONDS` for a connection, :data:`READ_SECONDS` between two pieces
of an answer. A whole answer may take as long as it needs, because files are large and networks slow; aiohttp
would end it after five minutes.

Web servers and buckets are reached by the proxy of the environment (:mod:`engine.files.proxies`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import fsspec

from engine.files.proxies import proxy_of
from engine.files.retries import growing_pauses, with_retries
from models.credentials import refuse_credentials
from models.errors import ErrorKind, InputError, QuarantineError

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0

LARGEST = 64 << 30
"""Bytes of the largest file that is read: ten times those of the survey's largest."""

ATTEMPTS = 4
"""Times that a request is made while its fault may pass."""

FIRST_PAUSE = 0.5
"""Seconds before the second attempt; see :func:`engine.files.retries.growing_pauses`."""

Fault = Literal["missing", "refused", "passing", "other"]

_BACK_ENDS = {"aiohttp", "botocore", "aiobotocore", "s3fs", "fsspec", "urllib3"}
_HTTP = ("http", "https")
_S3 = ("s3", "s3a")
_S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_PASSING_STATUS = {408, 421, 425, 429}

_T = TypeVar("_T")


def open_file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL or path, and the path in it.

    Raises
    ------
    InputError : the URL holds credentials, which would end up in stores and logs, or chains several URLs;
        or there is no such protocol, or its package is not installed (``url-scheme``).
    ConfigurationError : the proxy of the environment is none for HTTP.
    """
    refuse_credentials(url)
    if "://" not in url:
        # fsspec would take a path with "::" in it for a chain of URLs, and write to the first of them.
        return fsspec.filesystem("file"), str(Path(url).absolute())
    if "::" in url:
        raise InputError(
            "A URL of several, joined by '::', is not opened.",
            where=url,
            allowed="a path, or one URL",
            remedy="Give the URL of the files themselves; unpack archives first.",
            kind=ErrorKind.UNREADABLE_PATH,
        )
    try:
        if _protocol(url) in _HTTP:
            # Imported here: its library is an extra.
            from engine.files.http_files import HttpFiles

            return HttpFiles(**storage_options(url)), url
        filesystem, path = fsspec.core.url_to_fs(url, **storage_options(url))
    except (ValueError, ImportError) as error:
        raise InputError(
            "A URL has a scheme that cannot be opened here.",
            where=url,
            got=error,
            allowed="a path, or a URL that fsspec opens, e.g. s3://bucket/path",
            remedy="Check the part before '://'. S3 and the web need extras: pip install whyspec[s3,http].",
            kind=ErrorKind.URL_SCHEME,
        ) from error
    if _protocol(url) in _S3:
        # Calls are retried here; five tries of each by s3fs would be twenty minutes of a silent file.
        filesystem.retries = 1
    return filesystem, str(path)


def storage_options(url: str) -> dict[str, Any]:
    """Options of fsspec, and of Zarr through it, for a URL; the user's own configuration overrides them.

    Raises
    ------
    ConfigurationError : the proxy of the environment is none for HTTP.
    """
    protocol = _protocol(url)
    given = {**fsspec.config.conf.get(protocol, {})}
    if protocol in _HTTP:
        client = {"timeout": _http_timeout(), **given.get("client_kwargs", {})}
        return {"client_kwargs": client, "proxy": given.get("proxy", proxy_of(url) or None)}
    if protocol in _S3:
        ours: dict[str, Any] = {
            "config_kwargs": {
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": READ_SECONDS,
                "retries": {"mode": "standard", "total_max_attempts": 2},
                "proxies": _s3_proxies(given),
            },
            # Else s3fs asks for the size of every object before it reads it whole, as it reads large ones in
            # parts at the same time: two requests instead of one, of objects that are small.
            "max_concurrency": 1,
        }
        if not {"anon", "key", "secret", "token", "profile"} & given.keys() and not has_credentials():
            ours["anon"] = True
        return {name: value for name, value in ours.items() if name not in given}
    return {}


def check_size(url: str, size: int, limit: int = LARGEST) -> None:
    """Refuse a file, or an answer of a server, of more than ``limit`` bytes before memory is asked for.

    Raises
    ------
    QuarantineError : it has more (``too-large``).
    """
    if size > limit:
        raise QuarantineError(
            "A file is larger than any file of spectra.",
            where=url,
            got=f"{size} bytes or more",
            allowed=f"{limit} bytes",
            remedy="Leave it out. A smaller file of a server that knows no ranges can be downloaded.",
            kind=ErrorKind.TOO_LARGE,
        )


def fault_of(error: BaseException) -> Fault:
    """What an exception of a file system means.

    ``missing``: there is nothing of that name; ``refused``: there is, but not for this user; ``passing``:
    the same request may succeed later; ``other``: none of a file system's errors.
    """
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None and _is_of_back_end(cause):
        # fsspec calls every failure of a HEAD request a file that was not found.
        return fault_of(cause)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "missing"
    if isinstance(error, (PermissionError, IsADirectoryError)) or _is_about_the_account(error):
        return "refused"
    status = _http_status(error)
    if status in (404, 410):
        return "missing"
    if 400 <= status < 500 and status not in _PASSING_STATUS:
        return "refused"
    return "passing" if isinstance(error, OSError) or _is_of_back_end(error) else "other"


def description_of(error: BaseException) -> str:
    """What went wrong, in the words of the library that raised the first error."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None and _is_of_back_end(cause):
        return description_of(cause)
    return f"{type(error).__name__}: {error}"


def retried(call: Callable[[], _T]) -> _T:
    """The value of a file system's ``call``, made again with growing pauses while its fault may pass.

    Raises
    ------
    Exception : a fault that does not pass, or the last of :data:`ATTEMPTS`.
    """
    return with_retries(
        call,
        growing_pauses(FIRST_PAUSE, ATTEMPTS - 1),
        retry_on=lambda error: fault_of(error) == "passing",
    )


def _s3_proxies(given: Mapping[str, Any]) -> dict[str, str]:
    """The proxy to the server of buckets, by the scheme of its URL."""
    client = given.get("client_kwargs", {})
    named = [given.get("endpoint_url"), client.get("endpoint_url"), *map(os.environ.get, _S3_ENDPOINTS)]
    proxy = proxy_of(next(filter(None, named), "https://s3.amazonaws.com"))
    return {"http": proxy, "https": proxy} if proxy else {}


def _protocol(url: str) -> str:
    return url.partition("://")[0] if "://" in url else ""


def _is_of_back_end(error: BaseException) -> bool:
    """Whether an exception is of an fsspec back end; these do not share a base class."""
    return isinstance(error, TimeoutError) or type(error).__module__.split(".")[0] in _BACK_ENDS


def _is_about_the_account(error: BaseException) -> bool:
    """Whether credentials are missing or have run out (NoCredentialsError, SSOTokenLoadError)."""
    name = type(error).__name__
    return "Credentials" in name or ("Token" in name and _is_of_back_end(error))


def _http_status(error: BaseException) -> int:
    """The HTTP status in an error of aiohttp, botocore or s3fs; 0 if there is none."""
    for each in (error, error.__cause__):
        if each is None or not _is_of_back_end(each):
            continue
        response = getattr(each, "response", None)
        metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
        status = getattr(each, "status", metadata.get("HTTPStatusCode"))
        if isinstance(status, int):
            return status
    return 0


def _http_timeout() -> Any:
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)


@cache
def has_credentials() -> bool:
    """Whether the usual chain finds AWS credentials; cached, because a role is looked up over the network."""
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError:
        return True  # s3fs will say what is missing
    try:
        return Session().get_credentials() is not None
    except BotoCoreError as error:
        raise InputError(
            "The configuration for S3 of this user cannot be used.",
            where="AWS_* variables and ~/.aws",
            got=error,
            allowed="a profile that exists, or none: public buckets need no account",
            remedy="Correct AWS_PROFILE or the files that it names, or unset it.",
            kind=ErrorKind.S3_CONFIGURATION,
        ) from error
