"""The user's Prefect server: found where the user names it; the user's settings stay; faults are named."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_URL, temporary_settings

from infra.environment import prepare_environment
from infra.flow_call import as_flow
from infra.prefect_server import has_server, on_server, quieten_prefect
from models.errors import ErrorKind, RetryError, WhyspecError
from tests.servers.prefect import PrefectServer

VARIABLES = ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE", "PREFECT_LOGGING_LEVEL", "HOME")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No Prefect variable set, an empty home directory."""
    for name in VARIABLES:
        # Set first, so that what is set within the test is undone too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def profiles(home: Path, active: str) -> None:
    (home / "profiles.toml").write_text(
        f'active = "{active}"\n'
        '[profiles.ephemeral]\n[profiles.cluster]\nPREFECT_API_URL = "http://p.example/api"\n'
    )


def test_a_bare_machine_has_no_server_and_gets_nothing_of_prefects(bare: Path) -> None:
    def work(number: int) -> int:
        return number + 1

    assert not has_server()
    assert as_flow("count", work) is work
    assert list(bare.iterdir()) == []


def test_the_users_server_and_settings_stay(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "INFO")
    assert has_server()
    quieten_prefect()
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "INFO"
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert "PREFECT_HOME" not in os.environ


def test_a_profile_with_a_server_counts_as_the_users(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare / ".prefect").mkdir()
    profiles(bare / ".prefect", "cluster")
    assert has_server()
    profiles(bare / ".prefect", "ephemeral")
    assert not has_server()
    monkeypatch.setenv("PREFECT_PROFILE", "cluster")
    assert has_server()
    monkeypatch.setenv("PREFECT_HOME", str(bare / "elsewhere"))
    assert not has_server()


def no_flow() -> None:
    with on_server():
        raise AssertionError("a server that cannot be used was used")


@pytest.fixture
def answers() -> Iterator[Callable[[int, str], str]]:
    """A service that answers all but ``/health`` with one status and text; gives its address."""
    servers = []

    def serve(status: int, text: str) -> str:
        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                healthy = self.path.endswith("/health")
                body = b"true" if healthy else text.encode()
                self.send_response(200 if healthy else status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Answers))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/api"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "text", "kind", "got", "remedy"),
    [
        (401, "{}", ErrorKind.PREFECT_CREDENTIALS, "401", "PREFECT_API_AUTH_STRING"),
        (403, "{}", ErrorKind.PREFECT_CREDENTIALS, "403", "PREFECT_API_KEY"),
        (404, "{}", ErrorKind.PREFECT_ADDRESS, "404", "Correct PREFECT_API_URL"),
        (200, "<html>a wiki</html>", ErrorKind.PREFECT_ADDRESS, "JSONDecodeError", "Correct PREFECT_API_URL"),
        (500, "", ErrorKind.PREFECT_SERVER, "500", "Start it"),
        (503, "", ErrorKind.PREFECT_SERVER, "503", "Start it"),
    ],
)
def test_an_answer_that_is_none_of_a_prefect_server_for_us_is_called_what_it_is(
    bare: Path, answers: Callable[[int, str], str],
    status: int, text: str, kind: ErrorKind, got: str, remedy: str,
) -> None:  # fmt: skip
    url = answers(status, text)
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(WhyspecError) as caught:
        no_flow()
    assert (caught.value.kind, caught.value.where) == (kind, f"PREFECT_API_URL, {url}")
    assert caught.value.exit_code == (75 if kind is ErrorKind.PREFECT_SERVER else 64)
    assert caught.value.got.startswith(got)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:1/api", ErrorKind.PREFECT_SERVER),
        ("127.0.0.1:4200/api", ErrorKind.PREFECT_ADDRESS),
    ],
)
def test_an_address_without_a_server_is_called_what_it_is(bare: Path, url: str, kind: ErrorKind) -> None:
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(WhyspecError) as caught:
        no_flow()
    assert caught.value.kind is kind


def test_a_server_that_goes_away_under_a_flow_may_come_back(prefect: PrefectServer) -> None:
    def work() -> None:
        SyncPrefectClient("http://127.0.0.1:1/api").read_flows()

    with pytest.raises(RetryError) as caught:
        as_flow("work", work)()
    assert caught.value.kind is ErrorKind.PREFECT_SERVER


def test_errors_of_the_work_itself_pass_a_server_unchanged(prefect: PrefectServer) -> None:
    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        as_flow("work", work)()


@pytest.mark.parametrize("proxy", ["http_proxy", "all_proxy"])
def test_a_server_on_this_machine_is_reached_past_a_proxy(
    prefect: PrefectServer, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv(proxy, "http://127.0.0.1:9" if proxy == "http_proxy" else "socks5://127.0.0.1:9")
    prepare_environment()
    assert as_flow("count", lambda number: number + 1)(1) == 2
