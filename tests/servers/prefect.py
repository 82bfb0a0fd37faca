"""A Prefect server on this machine, for tests of what a user's server shows.

It ends with the tests, however these end. Prefect itself could start one, but would leave it behind when a
test run is killed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

STARTUP_SECONDS = 120.0
_ROOT = Path(__file__).resolve().parents[2]


class PrefectServer:
    """A server process on a free port, with a home of its own; usable once :meth:`wait` has returned."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.api_url = f"http://127.0.0.1:{port}/api"
        home.mkdir(parents=True, exist_ok=True)
        with (home / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.prefect", str(port)],
                cwd=_ROOT,
                # Processes of the product do not import from their working directory.
                env={
                    **os.environ,
                    "PYTHONPATH": str(_ROOT),
                    "PREFECT_HOME": str(home),
                    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Return when the server answers."""
        deadline = time.monotonic() + STARTUP_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{self.api_url}/health", timeout=5),  # noqa: S310 - http, local
            ):
                return
            time.sleep(0.1)
        self.stop()
        raise TimeoutError("the Prefect server did not come up")

    def stop(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait(timeout=20)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server that nobody is told of."""
    server = PrefectServer(tmp_path_factory.mktemp("prefect") / "home")
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def prefect(prefect_server: PrefectServer) -> Iterator[PrefectServer]:
    """The server of a user: commands and flows of the module find it."""
    from infra.prefect_server import quieten_prefect

    quieten_prefect()
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        pytest.MonkeyPatch.context() as patch,
        temporary_settings(updates={PREFECT_API_URL: prefect_server.api_url}),
    ):
        patch.setenv("PREFECT_API_URL", prefect_server.api_url)
        yield prefect_server
        # Events still in the queue would fail, loudly, once the server is gone.
        EventsWorker.drain_all(timeout=10)


def _serve(port: int) -> None:
    """The server process: ends when its standard input does, that is, with its parent."""
    import uvicorn

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ["PREFECT__SERVER_FINAL"] = "1"
    os.environ["PREFECT_UI_ENABLED"] = "0"
    uvicorn.run(
        "prefect.server.api.server:create_app", factory=True, host="127.0.0.1", port=port, log_level="error"
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
