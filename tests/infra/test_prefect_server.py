"""The user's Prefect server: found where the user names it, and the user's settings stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.flow_call import as_flow
from infra.prefect_server import has_server, quieten_prefect

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
