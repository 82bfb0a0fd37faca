"""Functions of strangers by name: imported if they were meant, not because they lie where one stands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flows.evaluation.named_functions import is_function_name, named_function
from models.errors import InputError

CODE = """
from pathlib import Path

Path(__file__).with_suffix(".ran").touch()


def score(flux, ivar, redshift):
    return 1
"""


def test_a_function_of_an_installed_module_is_found() -> None:
    assert is_function_name("json:dumps")
    assert not is_function_name("lime")
    assert named_function("json:dumps") is json.dumps


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("nowhere_at_all:score", "no such module"),
        ("json.nothing:score", "ModuleNotFoundError"),
        ("json:nothing", "AttributeError"),
        ("os:nothing", "AttributeError"),
        ("json:__name__", "a str"),
        (":score", "ValueError"),
    ],
)
def test_what_is_not_there_is_named(name: str, got: str) -> None:
    with pytest.raises(InputError, match="not there to be called") as caught:
        named_function(name)
    assert got in str(caught.value)


@pytest.mark.parametrize("package", [False, True])
def test_a_module_of_the_current_directory_is_not_run_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: bool
) -> None:
    name = f"stray_module_{package}".lower()
    place = tmp_path / name / "__init__.py" if package else tmp_path / f"{name}.py"
    place.parent.mkdir(exist_ok=True)
    place.write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(InputError, match="current directory"):
        named_function(f"{name}:score")
    assert not place.with_suffix(".ran").exists()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    try:
        assert named_function(f"{name}:score")(0, 0, 0) == 1
    finally:
        sys.modules.pop(name, None)
