"""Fixtures of this folder's tests."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.run_fixtures import model, release
from tests.servers.prefect import prefect, prefect_server

__all__ = ["model", "prefect", "prefect_server", "release", "short", "trapped"]


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path leaves room for the name of a socket."""
    path = Path(tempfile.mkdtemp(prefix="why"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A directory with a module of every name that may be imported: it writes its name to ``sprung``."""
    directory = tmp_path / "download"
    directory.mkdir()
    trap = f"open({str(directory / 'sprung')!r}, 'a').write(__name__ + ' ')\nraise ImportError('a trap')\n"
    for name in sys.stdlib_module_names | set(packages_distributions()):
        if name.isidentifier():
            (directory / f"{name}.py").write_text(trap)
    return directory
