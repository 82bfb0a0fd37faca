"""``whyspec bench match``: by position, by name and by astropy the same spectra have an object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.command_line import run_command


def test_the_command_measures_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "match.json"
    options = ["--rows", "2000", "--objects", "1000", "--repeats", "1", "--directory", str(tmp_path / "made")]
    assert run_command(["bench", "match", *options, "-o", str(file), "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found == json.loads(file.read_text())
    assert [each["name"] for each in found["matches"]] == ["by position", "by name", "by position, with rows"]
    matched = {each["matched"] for each in found["matches"]}
    assert matched == {found["astropy_matched"]}
    assert 350 < matched.pop() <= 500
    assert all(each["cpu_seconds"] > 0 for each in found["matches"])
    assert "astropy, search alone" in err
    assert list((tmp_path / "made").iterdir()) == []
    assert run_command(["bench", "match", "--objects", "1"]) == 64
