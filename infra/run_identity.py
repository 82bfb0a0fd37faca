"""The name of a run: in every log record, in the store's lock, on the Prefect server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_current = ""


def new_run_id() -> str:
    """A name that sorts by time and does not repeat, e.g. ``20261124-093015-4f1c9a`` (UTC)."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def current_run_id() -> str:
    """The run that this process is busy with; empty outside one."""
    return _current


@contextmanager
def run_named(run: str) -> Iterator[str]:
    """Within it, this process is busy with ``run``.

    Of the process, not of the thread: a run's threads and the libraries' all log for it, and one process
    does one run at a time.
    """
    global _current
    before, _current = _current, run
    try:
        yield run
    finally:
        _current = before
