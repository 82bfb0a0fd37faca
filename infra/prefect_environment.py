"""Prefect's environment on a machine that nobody configured: offline, quiet, in a place of its own.

Prefect reads its settings when it is imported, so :func:`prepare_prefect` runs before that. What the
user has set stays: with ``PREFECT_API_URL`` (or a profile that has one) flows go to that server.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from pathlib import Path

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SHOW_VERSION_CHECK": "false",
    # Results live in the store and its ledger; Prefect's copies would only be a second truth.
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


def prepare_prefect() -> bool:
    """Set the variables that are not set; True when the user has a Prefect server of their own."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if _user_has_server():
        return True
    if "PREFECT_HOME" not in os.environ:
        home = cache_directory() / "prefect"
        # Prefect makes this directory, but none above it: on a new machine there is not even ~/.cache.
        home.parent.mkdir(parents=True, exist_ok=True)
        os.environ["PREFECT_HOME"] = str(home)
    return False


def cache_directory() -> Path:
    """Where whyspec keeps what it can make again: ``$XDG_CACHE_HOME/whyspec`` or ``~/.cache/whyspec``.

    In the system's directory for temporary files where neither can be written, as in many containers.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    directory = (Path(base) if base else Path.home() / ".cache") / "whyspec"
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    if os.access(existing, os.W_OK):
        return directory
    return Path(tempfile.gettempdir()) / f"whyspec-{os.getuid()}"


def _user_has_server() -> bool:
    if os.environ.get("PREFECT_API_URL"):
        return True
    home = Path(os.environ.get("PREFECT_HOME", str(Path.home() / ".prefect")))
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return False
    active = os.environ.get("PREFECT_PROFILE", profiles.get("active", ""))
    return bool(profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL"))
