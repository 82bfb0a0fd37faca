"""Environment of whyspec's processes: what is set, for whom, and that the user's values stay."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.files.file_systems import has_credentials
from infra import environment as module
from infra.environment import prepare_environment
from tests.small_run import environment

VARIABLES = ("PYTHONSAFEPATH", "GOMP_SPINCOUNT", "AWS_EC2_METADATA_DISABLED", "no_proxy", "NO_PROXY")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """None of the variables set; firmware that says nothing yet."""
    for name in VARIABLES:
        # Set first, so that what is set within the test is undone too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(module, "_FIRMWARE", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("given", "found"), [(None, "2000"), ("7", "7")])
def test_the_command_line_sets_it_before_torch_is_imported(given: str | None, found: str) -> None:
    code = (
        "import os, sys, flows.command_line as c\n"
        "assert 'torch' not in sys.modules\n"
        "sys.argv = ['whyspec', '--version']\n"
        "try:\n    c.main()\nexcept SystemExit:\n    pass\n"
        "print(os.environ['GOMP_SPINCOUNT'], os.environ['PYTHONSAFEPATH'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**({} if given is None else {"GOMP_SPINCOUNT": given})),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-1] == f"{found} 1"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": ".survey.org, localhost"}, ".survey.org,localhost,127.0.0.1,::1"),
        ({"no_proxy": "a.org", "NO_PROXY": "b.org"}, "a.org,localhost,127.0.0.1,::1"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_no_proxy_is_asked_for_this_machine(
    given: dict[str, str], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    prepare_environment()
    prepare_environment()
    assert os.environ["no_proxy"] == found


@pytest.fixture
def metadata_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a machine's metadata server was asked for, where botocore believes it to be; it has no role."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def do_GET(self) -> None:
            self.do_PUT()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    yield asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("file", "text", "given", "asks"),
    [
        ("sys_vendor", "LENOVO", None, False),
        ("sys_vendor", "Amazon EC2", None, True),
        ("bios_version", "4.11.amazon", None, True),
        ("sys_vendor", "LENOVO", "false", True),
        ("sys_vendor", "Amazon EC2", "true", False),
    ],
)
def test_a_role_is_looked_up_on_machines_of_amazon_only(
    bare: Path, metadata_server: list[str], monkeypatch: pytest.MonkeyPatch,
    file: str, text: str, given: str | None, asks: bool,
) -> None:  # fmt: skip
    (bare / file).write_text(f"{text}\n")
    if given is not None:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", given)
    prepare_environment()
    assert not has_credentials.__wrapped__()
    assert bool(metadata_server) == asks
