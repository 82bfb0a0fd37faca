"""A Prefect server for the length of one command, when the user has none.

Prefect starts such a server itself, but leaves it behind when the command is killed and lets it write
tracebacks on the screen at exit. This one ends with its parent, however that ends, and logs to a file.
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
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.prefect_environment import cache_directory, prepare_prefect
from models.errors import ErrorKind, RetryError

STARTUP_SECONDS = 120.0


class PrefectServer:
    """A server process on a free port of this machine; usable once :meth:`wait` has returned.

    Starting returns at once, so that the 5 to 12 seconds it takes can be spent on something else.
    """

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        home = Path(os.environ.get("PREFECT_HOME", str(cache_directory() / "prefect")))
        home.mkdir(parents=True, exist_ok=True)
        self._log = home / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "infra.prefect_server", str(self._port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # A terminal's Ctrl-C is for the command; the server has to outlive its last report.
                start_new_session=True,
            )

    @property
    def api_url(self) -> str:
        """The value of ``PREFECT_API_URL``."""
        return f"http://127.0.0.1:{self._port}/api"

    def wait(self, seconds: float = STARTUP_SECONDS) -> None:
        """Return when the server answers.

        Raises
        ------
        RetryError : it has ended, or does not answer in time.
        """
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{self.api_url}/health", timeout=5),  # noqa: S310 - http, local
            ):
                return
            time.sleep(0.1)
        self.stop()
        raise RetryError(
            "The Prefect server that whyspec starts for a run did not come up.",
            where=str(self._log),
            allowed=f"an answer within {seconds:.0f} s",
            remedy="Read the log named above, or set PREFECT_API_URL to a server that runs already.",
            kind=ErrorKind.PREFECT_SERVER,
        )

    def stop(self) -> None:
        """End the server."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def prefect_starting() -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """The user's Prefect server, else one that lasts as long as this and begins to start now.

    What is yielded waits until the server answers; within the context that it gives flows can run. So
    the seconds that a server needs can be spent on something else.

    Raises
    ------
    RetryError : the server does not answer.
    """
    if prepare_prefect():
        _check_users_server()
        yield contextlib.nullcontext
        return
    server = PrefectServer()
    try:
        yield lambda: _answering(server)
    finally:
        server.stop()


@contextlib.contextmanager
def _answering(server: PrefectServer) -> Iterator[None]:
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    server.wait()
    with temporary_settings(updates={PREFECT_API_URL: server.api_url}):
        yield
        # Events still in the queue would fail, loudly, once the server is gone.
        EventsWorker.drain_all(timeout=10)


def _check_users_server() -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise RetryError(
            "The Prefect server does not answer.",
            where=f"PREFECT_API_URL, {PREFECT_API_URL.value()}",
            got=f"{type(error).__name__}: {error}",
            remedy="Start it with `prefect server start`, correct the address, or unset it: whyspec then "
            "starts a server for the run.",
            kind=ErrorKind.PREFECT_SERVER,
        )


def _serve(port: int) -> None:
    """The server process: ends when its standard input does, that is, with its parent."""
    import uvicorn

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ["PREFECT__SERVER_EPHEMERAL"] = "1"
    os.environ["PREFECT__SERVER_FINAL"] = "1"
    os.environ["PREFECT_UI_ENABLED"] = "0"
    uvicorn.run(
        "prefect.server.api.server:create_app", factory=True, host="127.0.0.1", port=port, log_level="error"
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
