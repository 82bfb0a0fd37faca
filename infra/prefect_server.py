"""The user's Prefect server: whether there is one, whether it answers, and what its faults mean.

Without one Prefect is not even imported. Prefect reads its settings when it is imported, so
:func:`quieten_prefect` goes before that; what the user has set stays.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from infra.environment import LOOPBACK
from models.errors import ConfigurationError, ErrorKind, RetryError, WhyspecError

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SHOW_VERSION_CHECK": "false",
    # Results live in the store and its ledger; Prefect's copies would only be a second truth.
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}

_RETRIES = 2
"""Of a request before the run: Prefect's own number makes it wait two minutes for an overloaded server."""

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


def has_server() -> bool:
    """Whether ``PREFECT_API_URL`` names a server, or the user's profile of Prefect does."""
    if os.environ.get("PREFECT_API_URL"):
        return True
    home = Path(os.environ.get("PREFECT_HOME", str(Path.home() / ".prefect")))
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return False
    active = os.environ.get("PREFECT_PROFILE", profiles.get("active", ""))
    return bool(profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL"))


def quieten_prefect() -> None:
    """Set the variables that keep Prefect's own messages off the screen, unless the user has set them."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def on_server() -> Iterator[None]:
    """Within it flows run on the user's server, which is asked first whether it takes them.

    Raises
    ------
    RetryError : the server does not answer, then or later.
    ConfigurationError : it refuses this user, or it is no Prefect server.
    """
    quieten_prefect()
    try:
        _check()
        yield
    except WhyspecError:
        raise
    except Exception as error:
        fault = _fault_of(error)
        if fault is None:
            raise
        _drop_events()
        raise fault from error


def _check() -> None:
    """A request that needs whatever the server asks for; anybody may ask for its health."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    if urlsplit(PREFECT_API_URL.value()).hostname in LOOPBACK:
        # Prefect's client cannot even be made without what a SOCKS proxy takes, also if it does not ask it.
        for name in ("all_proxy", "ALL_PROXY"):
            if os.environ.get(name, "").startswith("socks"):
                del os.environ[name]
    try:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: _RETRIES}),
            get_client(sync_client=True) as client,
        ):
            client.read_flows(limit=1)
            client.raise_for_api_version_mismatch()
    except Exception as error:
        raise _fault_of(error) or _no_server(f"{type(error).__name__}: {error}") from error


def _drop_events() -> None:
    """Forget what Prefect has still to tell the server: at its end the process would try each for seconds."""
    from prefect.events.worker import EventsWorker

    instances: dict[int, EventsWorker] = EventsWorker._instances  # type: ignore[misc]  # no public way
    for worker in [*instances.values()]:
        worker._queue.queue.clear()


def _fault_of(error: BaseException) -> WhyspecError | None:
    """What an error that Prefect raised says of its server; None if it is none of its client's."""
    from httpx import HTTPError, HTTPStatusError, InvalidURL, UnsupportedProtocol

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, (HTTPError, InvalidURL)):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    if isinstance(cause, HTTPStatusError):
        status = cause.response.status_code
        found = f"{status} {cause.response.reason_phrase}"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return _refused(found)
        passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING
        return _no_answer(found) if passing else _no_server(found)
    found = f"{type(cause).__name__}: {cause}"
    return _no_server(found) if isinstance(cause, (InvalidURL, UnsupportedProtocol)) else _no_answer(found)


def _refused(found: str) -> ConfigurationError:
    return ConfigurationError(
        "The Prefect server asks for a password or a key.",
        where=_place(),
        got=found,
        remedy="Set PREFECT_API_AUTH_STRING to its user:password, or PREFECT_API_KEY to a key of Prefect "
        "Cloud; or unset PREFECT_API_URL: whyspec then runs without Prefect.",
        kind=ErrorKind.PREFECT_CREDENTIALS,
    )


def _no_server(found: str) -> ConfigurationError:
    return ConfigurationError(
        "There is no Prefect server that can be used at the address.",
        where=_place(),
        got=found,
        allowed="a server of the same major version, e.g. http://127.0.0.1:4200/api",
        remedy="Correct PREFECT_API_URL, or unset it: whyspec then runs without Prefect.",
        kind=ErrorKind.PREFECT_ADDRESS,
    )


def _no_answer(found: str) -> RetryError:
    return RetryError(
        "The Prefect server does not answer.",
        where=_place(),
        got=found,
        remedy="Start it with `prefect server start`, correct the address, or unset it: whyspec then runs "
        "without Prefect.",
        kind=ErrorKind.PREFECT_SERVER,
    )


def _place() -> str:
    from prefect.settings import PREFECT_API_URL

    return f"PREFECT_API_URL, {PREFECT_API_URL.value()}"
