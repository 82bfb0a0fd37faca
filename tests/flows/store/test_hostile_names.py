"""Names from files, headers and cards are shown as they are: no markup, HTML, commands or formulas."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from engine.query.query import QuerySettings, query
from engine.query.table_formats import write_table
from flows.command_line import run_command
from flows.console import facts, messages, notes, show_error, write_json
from models.errors import InputError
from tests.synthetic_store import synthetic_store

MARKUP = "[/b][link=file:x]:boom:"
TERMINAL = "\x1b]0;owned\x07\x9b31m\u202e"
MODEL = f"{MARKUP}{TERMINAL}"
FILE = os.fsdecode(b"[b]x\x1b\xff")
OBEYED = ("\x1b", "\x07", "\x9b", "\u202e", "\udcff")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store whose texts are all hostile, with a file in it whose name is no text."""
    path, root = tmp_path_factory.mktemp("hostile") / "odd.zarr", f"<img onerror=x>{TERMINAL}"
    made = synthetic_store(path, spectra=40, root=root, survey="=1[/b]$", model=MODEL)
    Path(f"{made.url}/spectra/{FILE}").touch()
    return made.url


@pytest.mark.parametrize(
    ("command", "exit_status", "shown"),
    [
        (["status"], 0, f"{MARKUP}␛]0;owned␇"),
        (["status", "--json"], 0, MARKUP),
        (["verify"], 65, "spectra/[b]x␛�"),
        (["verify", "--json"], 65, "spectra/[b]x\\u001b\\udcff"),
        (["query"], 0, "iron/=1[/b]$/"),
        (["query", "--json"], 0, MARKUP),
        (["query", "--format", "csv"], 0, f"{MARKUP}␛]0;owned␇"),
        (["query", "--key", MODEL], 0, f"{MARKUP}␛"),
        (["query", "--clustering", MODEL], 66, f"{MARKUP}␛"),
    ],
)
def test_commands_show_names_as_they_are(
    store: str, command: list[str], exit_status: int, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command([command[0], store, *command[1:]]) == exit_status
    told = "".join(capsys.readouterr())
    assert shown in told
    assert not any(character in told for character in OBEYED)


def test_a_terminal_gets_no_commands_but_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    messages(as_json=False).print(facts(MODEL, [("name", MODEL)]), MODEL)
    show_error(InputError(MODEL, where=MODEL, got=MODEL, remedy=MODEL))
    notes().print(MODEL)
    for told in capsys.readouterr():
        assert "\x1b[" in told
        assert f"{MARKUP}␛]0;owned" in told
        assert not any(character in told for character in ("\x1b]", *OBEYED[1:]))


def test_json_says_what_the_names_are(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["status", store, "--json"])
    assert json.loads(capsys.readouterr().out)["models"][0]["name"] == MODEL
    write_json({"name": f"{TERMINAL}\udcff\n"})
    assert json.loads(capsys.readouterr().out) == {"name": f"{TERMINAL}\udcff\n"}
    run_command(["verify", store, "--json"])
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert fault["where"] == f"spectra/{FILE}"
    run_command(["query", store, "--json"])
    assert json.loads(capsys.readouterr().out)[0]["model"] == MODEL


def test_csv_holds_no_formulas_and_numbers_stay_numbers(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = query(store, QuerySettings(top=4))
    frame["key"] = ["=1+1", "+1", "-1", "@x"]
    frame["line"] = ["Hα", "a=b", "'quoted", "\tx"]
    frame["dec"] = -frame["dec"].abs()
    write_table(frame.astype({"key": "str", "line": "str"}), "csv")
    back = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["key"] for row in back] == ["'=1+1", "'+1", "'-1", "'@x"]
    assert [row["line"] for row in back] == ["Hα", "a=b", "'quoted", "'\tx"]
    assert [float(row["dec"]) for row in back] == frame["dec"].tolist()


def test_a_report_draws_names_that_look_like_mathematics(store: str, tmp_path: Path) -> None:
    assert run_command(["report", store, "--top", "1", "-o", str(tmp_path / "odd.html")]) == 0
    page = (tmp_path / "odd.html").read_text(encoding="utf-8")
    assert "<img onerror" not in page
    assert "&lt;img onerror" in page
