"""The table of settings: the page is up to date, flags exist, every value has an origin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.command_line import app, run_command
from infra.settings import Settings, load_settings
from infra.settings_table import setting_rows, settings_page
from tests.small_run import REPOSITORY


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SETTINGS", *(name.upper() for name in Settings.model_fields)):
        monkeypatch.delenv(f"WHYSPEC_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_page_is_what_the_model_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page(), "make settings"
    monkeypatch.setenv("WHYSPEC_WORKERS", "3")
    assert page == settings_page()
    assert run_command(["settings", "--page"]) == 0
    assert capsys.readouterr().out == page


def test_every_setting_is_described() -> None:
    assert [row.name for row in setting_rows(Settings()) if not row.meaning] == []


def test_flags_of_the_table_are_flags_of_the_commands() -> None:
    flags = [row.flag for row in setting_rows(Settings()) if row.flag and row.flag != "--traceback"]
    assert len(flags) == 4
    for flag in flags:
        commands, _, option = flag.rpartition(" ")
        for command in commands.split(", "):
            arguments = app[command].assemble_argument_collection()
            assert any(option in argument.names for argument in arguments), flag


def test_each_value_says_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "whyspec.toml").write_text('workers = 3\nray_address = "ray:1"\n')
    monkeypatch.setenv("WHYSPEC_WORKERS", "4")
    monkeypatch.setenv("WHYSPEC_DASK_ADDRESS", "tls://me:pass@host:8786")
    rows = {row.name: (row.value, row.origin) for row in setting_rows(load_settings())}
    assert rows["workers"] == ("4", "variable")
    assert rows["ray_address"] == ("ray:1", "file")
    assert rows["threads"] == ("0", "default")
    assert rows["dask_address"] == ("tls://***@host:8786", "variable")


def test_the_command_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "whyspec.toml").write_text("threads = 2\n")
    monkeypatch.setenv("WHYSPEC_WORKERS", "4")
    assert run_command(["settings"]) == 0
    lines = {line.split()[0]: line.split()[1:3] for line in capsys.readouterr().out.splitlines() if line}
    assert lines["workers"] == ["4", "WHYSPEC_WORKERS"]
    assert lines["threads"] == ["2", "whyspec.toml"]
    assert run_command(["settings", "--json"]) == 0
    told = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(told) == list(Settings.model_fields)
    assert (told["workers"]["value"], told["workers"]["origin"]) == ("4", "variable")
