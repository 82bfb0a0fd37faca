"""The Prefect server of a command: quiet, out of the way of the user's own, and gone with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from infra.prefect_environment import cache_directory, prepare_prefect
from tests.small_run import environment

VARIABLES = (
    "PREFECT_API_URL",
    "PREFECT_HOME",
    "PREFECT_PROFILE",
    "PREFECT_LOGGING_LEVEL",
    "XDG_CACHE_HOME",
    "HOME",
)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No Prefect variable set, an empty home directory."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - http
            return True
    except (urllib.error.URLError, OSError):
        return False


def test_a_bare_machine_gets_a_home_of_whyspecs_own(bare: Path) -> None:
    assert prepare_prefect() is False
    assert os.environ["PREFECT_HOME"] == str(bare / ".cache" / "whyspec" / "prefect")
    # Prefect makes the last directory only, and warns if it cannot.
    assert (bare / ".cache" / "whyspec").is_dir()
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert not (bare / ".prefect").exists()


def test_the_users_server_and_settings_stay(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "INFO")
    assert prepare_prefect() is True
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "INFO"
    assert "PREFECT_HOME" not in os.environ


def test_a_profile_with_a_server_counts_as_the_users(bare: Path) -> None:
    (bare / ".prefect").mkdir()
    (bare / ".prefect" / "profiles.toml").write_text(
        'active = "cluster"\n[profiles.ephemeral]\n[profiles.cluster]\nPREFECT_API_URL = "http://p.example/api"\n'
    )
    assert prepare_prefect() is True
    (bare / ".prefect" / "profiles.toml").write_text('active = "ephemeral"\n[profiles.ephemeral]\n')
    assert prepare_prefect() is False


def test_the_cache_follows_xdg(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare / "elsewhere"))
    assert cache_directory() == bare / "elsewhere" / "whyspec"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_with_the_command_however_that_ends(how: signal.Signals) -> None:
    code = (
        "from infra.prefect_server import prefect_starting\n"
        "import time\n"
        "with prefect_starting() as answering, answering():\n"
        "    from prefect.settings import PREFECT_API_URL\n"
        "    print(PREFECT_API_URL.value(), flush=True)\n"
        "    time.sleep(300)\n"
    )
    own = environment()
    # Other tests may have a server running that theirs is; this one must start its own.
    own.pop("PREFECT_API_URL", None)
    with subprocess.Popen(
        [sys.executable, "-c", code], env=own, stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        url = command.stdout.readline().strip()
        assert answers(url)
        command.send_signal(how)
        command.wait(timeout=20)
    deadline = time.monotonic() + 30
    while answers(url) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not answers(url)
