"""Readers behind fsspec URLs: the same spectra, listings and errors as from a disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from engine.files.byte_source import open_bytes, reading
from engine.surveys.listing import list_release
from engine.surveys.reading import inspect, read_spectra
from models.errors import QuarantineError, RetryError
from tests.engine.surveys.coadd_files import CoaddContent, contents


@pytest.fixture
def bucket() -> Iterator[str]:
    filesystem: MemoryFileSystem = fsspec.filesystem("memory")
    yield "memory://bucket/iron"
    filesystem.rm("/bucket", recursive=True)


def upload(source: str, url: str) -> None:
    with fsspec.open(url, "wb") as target:
        target.write(Path(source).read_bytes())


def test_a_release_in_a_bucket_reads_as_on_disk(tmp_path: Path, bucket: str) -> None:
    for pixel in (1, 2):
        content = CoaddContent(seed=pixel, header={})
        directory = tmp_path / "iron" / "healpix" / "main" / "dark" / "0" / str(pixel)
        for path in content.write(directory, name=f"main-dark-{pixel}.fits"):
            upload(path, f"{bucket}/healpix/main/dark/0/{pixel}/{Path(path).name}")
    local, remote = list_release([str(tmp_path / "iron")]), list_release([bucket])
    assert (remote.root, remote.layout, remote.spectra) == (bucket, "desi-healpix", 12)
    assert [file.fingerprint for file in remote.files] == [file.fingerprint for file in local.files]
    for here, there in zip(local.files, remote.files, strict=True):
        assert there.url.startswith(f"{bucket}/healpix/")
        assert there.redshift_url.startswith(f"{bucket}/healpix/")
        one, other = read_spectra(here), read_spectra(there)
        np.testing.assert_array_equal(one.flux, other.flux)
        assert contents(one.rows) == contents(other.rows)
        np.testing.assert_array_equal(read_spectra(there, 2, 4).ivar, one.ivar[2:4])


def test_a_file_url_is_the_path(tmp_path: Path) -> None:
    coadd, redrock = CoaddContent().write(tmp_path)
    listing = list_release([f"file://{tmp_path}"])
    assert [(file.url, file.redshift_url) for file in listing.files] == [(coadd, redrock)]


def test_damage_and_absence_are_told_apart_behind_a_url(tmp_path: Path, bucket: str) -> None:
    coadd, _ = CoaddContent().write(tmp_path)
    data = Path(coadd).read_bytes()
    with fsspec.open(f"{bucket}/coadd-cut.fits", "wb") as target:
        target.write(data[: len(data) // 2])
    with pytest.raises(QuarantineError) as caught:
        inspect(f"{bucket}/coadd-cut.fits")
    assert caught.value.kind == "truncated-file"
    with pytest.raises(QuarantineError) as caught:
        inspect(f"{bucket}/coadd-none.fits")
    assert caught.value.kind == "missing-file"


def test_a_failing_disk_or_network_is_worth_another_try() -> None:
    for error in (OSError(5, "Input/output error"), TimeoutError("too slow"), ConnectionResetError()):
        with pytest.raises(RetryError, match="Reading a source file failed") as caught, reading("s3://x/y"):
            raise error
        assert caught.value.where == "s3://x/y"
    with pytest.raises(KeyError), reading("s3://x/y"):
        raise KeyError("not about reading")


def test_a_directory_in_place_of_a_file_is_quarantined(tmp_path: Path) -> None:
    with pytest.raises(QuarantineError) as caught:
        open_bytes(str(tmp_path))
    assert caught.value.kind == "unreadable-file"
