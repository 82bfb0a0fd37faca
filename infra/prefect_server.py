"""The user's Prefect server: whether there is one, and whether it answers.

Without one Prefect is not even imported. Prefect reads its settings when it is imported, so
:func:`quieten_prefect` goes before that; what the user has set stays.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from models.errors import ErrorKind, RetryError

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SHOW_VERSION_CHECK": "false",
    # Results live in the store and its ledger; Prefect's copies would only be a second truth.
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


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


def check_server() -> None:
    """Make sure that the server answers.

    Raises
    ------
    RetryError : it does not.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise RetryError(
            "The Prefect server does not answer.",
            where=f"PREFECT_API_URL, {PREFECT_API_URL.value()}",
            got=f"{type(error).__name__}: {error}",
            remedy="Start it with `prefect server start`, correct the address, or unset it: whyspec "
            "then runs without Prefect.",
            kind=ErrorKind.PREFECT_SERVER,
        )
