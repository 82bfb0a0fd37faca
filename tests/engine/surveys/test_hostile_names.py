"""Names that are no text, and what is no file, on a disk: quarantined while the others are listed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.surveys.listing import list_release
from models.errors import InputError
from tests.engine.surveys.coadd_files import CoaddContent


@pytest.fixture
def coadd(tmp_path: Path) -> Path:
    return written(tmp_path / "coadd.fits", 1)


def written(path: Path, seed: int) -> Path:
    CoaddContent(seed=seed).alone().writeto(path)
    return path


def test_names_that_are_no_text_are_quarantined_and_shown_escaped(tmp_path: Path, coadd: Path) -> None:
    shutil.copy(coadd, os.fsencode(tmp_path) + b"/copi\xe9.fits")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/na\xefve")).mkdir()
    shutil.copy(coadd, os.fsencode(tmp_path) + b"/na\xefve/x.fits")
    written(tmp_path / "accént.fits", 2)
    listing = list_release([str(tmp_path)])
    assert sorted(file.url for file in listing.files) == [str(tmp_path / "accént.fits"), str(coadd)]
    assert [(file.url, file.kind) for file in listing.refused] == [
        (f"{tmp_path}/copi\\xe9.fits", "file-name"),
        (f"{tmp_path}/na\\xefve/x.fits", "file-name"),
    ]
    assert "copi\\xe9.fits" in listing.refused[0].reason
    with pytest.raises(InputError, match="no file of spectra that can be used") as caught:
        list_release([os.fsdecode(os.fsencode(tmp_path) + b"/na\xefve")])
    assert caught.value.where == f"{tmp_path}/na\\xefve"


def test_accents_in_a_locale_without_them_are_names_that_are_no_text(tmp_path: Path, coadd: Path) -> None:
    shutil.copy(coadd, tmp_path / "accént.fits")
    code = (
        f"from engine.surveys.listing import list_release; listing = list_release([{str(tmp_path)!r}]);"
        "print(len(listing.files), *[file.url for file in listing.refused]);"
        "print(listing.refused[0].reason)"
    )
    environment = {**os.environ, "PYTHONUTF8": "0", "LC_ALL": "C"}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert shown.startswith(f"1 {tmp_path}/acc\\xc3\\xa9nt.fits\n")
    assert "names in ascii, the encoding of file names here" in shown


def test_what_is_no_file_is_never_opened(
    tmp_path: Path, coadd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.fits")
    (tmp_path / "device.fits").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)  # a socket's path is short
        listening.bind("socket.fits")
    listing = list_release([str(tmp_path)])
    assert [file.url for file in listing.files] == [str(coadd)]
    assert [(Path(file.url).name, file.kind) for file in listing.refused] == [
        ("device.fits", "unreadable-file"),
        ("pipe.fits", "unreadable-file"),
        ("socket.fits", "unreadable-file"),
    ]
    reasons = "".join(file.reason for file in listing.refused)
    assert all(f"got: {kind}" in reasons for kind in ("a device", "a named pipe", "a socket"))
