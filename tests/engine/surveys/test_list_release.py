"""Listing releases: each layout on a small tree, real directories, and everything that can be wrong."""

from __future__ import annotations

import os
import shutil
import struct
import time
from pathlib import Path

import pytest

from engine.files.fits_file import FitsFile
from engine.surveys import inspection
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ConfigurationError, InputError, RetryError
from tests.engine.surveys.coadd_files import CoaddContent


def add_healpix(
    root: Path, survey: str, program: str, pixel: int, count: int = 2, redrock: bool = True
) -> Path:
    directory = root / survey / program / str(pixel // 100) / str(pixel)
    content = CoaddContent(count=count, seed=pixel, header={"SURVEY": survey, "PROGRAM": program})
    return Path(content.write(directory, name=f"{survey}-{program}-{pixel}.fits", redrock=redrock)[0])


def names(urls: list[str]) -> list[str]:
    return [url.rpartition("/")[2] for url in urls]


def test_the_real_desi_directory(real_data: Path) -> None:
    listing = list_release([str(real_data / "real" / "desi")])
    assert (listing.layout, listing.grid, listing.spectra) == ("files", DESI_GRID, 1)
    assert names([file.url for file in listing.files]) == ["coadd-4-80613-thru20210324.fits"]
    assert names([file.redshift_url for file in listing.files]) == ["redrock-4-80613-thru20210324.fits"]
    assert [(names([file.url])[0], file.kind) for file in listing.refused] == [
        ("coadd-1-80693-thru20210204.fits", "missing-redshifts"),
        ("coadd-sv3-dark-26065.fits", "missing-redshifts"),
        ("redrock-test.fits", "not-a-coadd"),
        ("spectra-sv3-dark-26065.fits", "not-a-coadd"),
    ]
    assert all("remedy: " in file.reason for file in listing.refused)


def test_the_real_sdss_directories(real_data: Path) -> None:
    mixed = list_release([str(real_data / "real" / "sdss")])
    assert (mixed.layout, mixed.grid, len(mixed.files), mixed.refused) == ("files", SDSS_GRID, 129, ())
    sky = list_release([str(real_data / "sky")])
    assert (sky.layout, sky.spectra) == ("sdss-spec", 91)
    assert [file.url for file in sky.files] == sorted(file.url for file in sky.files)


def test_both_surveys_in_one_directory_are_refused(real_data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one store has one grid") as caught:
        list_release([str(real_data / "real")])
    assert caught.value.got == "3 DESI coadd files, 125 SDSS files"
    assert "--layout" in caught.value.remedy
    # Names say nothing here; the content does.
    shutil.copy(real_data / "real/sdss/spec-0266-51602-0573.fits", tmp_path / "one.fits")
    CoaddContent().alone().writeto(tmp_path / "two.fits")
    with pytest.raises(ConfigurationError) as caught:
        list_release([str(tmp_path / "one.fits"), str(tmp_path / "two.fits")])
    assert caught.value.got == "1 files of desi-coadd, 1 files of sdss-spec"
    assert list_release([str(real_data / "real")], "sdss-spec").spectra == 125


def test_a_production_with_healpix_and_tiles(tmp_path: Path) -> None:
    root = tmp_path / "spectro" / "redux" / "iron"
    for survey, program, pixel in (("main", "dark", 10016), ("main", "bright", 999), ("sv3", "dark", 26065)):
        coadd = add_healpix(root / "healpix", survey, program, pixel)
        for other in ("spectra", "emline", "qso_mgii"):
            (coadd.parent / coadd.name.replace("coadd", other)).write_bytes(b"never looked at")
    (root / "healpix" / "tilepix.fits").write_bytes(b"no catalogue")
    orphan = root / "healpix" / "main" / "dark" / "0" / "7"
    CoaddContent().write(orphan, name="main-dark-7.fits")
    (orphan / "coadd-main-dark-7.fits").unlink()
    tile = root / "tiles" / "cumulative" / "80613" / "20210324"
    tile_header = {"TILEID": 80613, "SPGRP": "cumulative"}
    CoaddContent(count=3, header=tile_header).write(tile, name="4-80613-thru20210324.fits")
    earlier = root / "tiles" / "cumulative" / "80613" / "20201222"
    CoaddContent(count=3, header=tile_header).write(earlier, name="4-80613-thru20201222.fits")

    for place in (root, root / "healpix"):
        listing = list_release([str(place)])
        assert (listing.layout, listing.root, listing.spectra) == ("desi-healpix", str(place), 6)
        assert names([file.url for file in listing.files]) == [
            "coadd-main-bright-999.fits",
            "coadd-main-dark-10016.fits",
            "coadd-sv3-dark-26065.fits",
        ]
        assert [(file.specprod, file.survey, file.program) for file in listing.files] == [
            ("iron", "main", "bright"),
            ("iron", "main", "dark"),
            ("iron", "sv3", "dark"),
        ]
        assert all(file.redshift_url.endswith(file.url.rpartition("coadd")[2]) for file in listing.files)
        assert [(names([file.url])[0], file.kind) for file in listing.refused] == [
            ("redrock-main-dark-7.fits", "not-a-coadd")
        ]
        assert [(names([file.url])[0], file.kind) for file in listing.skipped] == [
            ("tilepix.fits", "not-fits")
        ]
    assert list_release([str(root / "healpix" / "main" / "bright")]).spectra == 2

    tiles = list_release([str(root)], "desi-tiles")
    assert (tiles.layout, tiles.spectra) == ("desi-tiles", 3)
    assert names([file.url for file in tiles.files]) == ["coadd-4-80613-thru20210324.fits"]
    assert tiles.refused == ()
    assert [(names([file.url])[0], file.kind) for file in tiles.skipped] == [
        ("coadd-4-80613-thru20201222.fits", "superseded")
    ]
    assert "coadd-4-80613-thru20210324.fits" in tiles.skipped[0].reason
    assert list_release([str(root / "tiles")]).layout == "desi-tiles"
    assert read_spectra(tiles.files[0]).rows.keys()[0].startswith("iron/tiles/80613/")


def test_files_named_one_by_one(tmp_path: Path) -> None:
    coadd, redrock = CoaddContent().write(tmp_path / "a", name="x.fits")
    other = str(tmp_path / "b" / "other.fits")
    (tmp_path / "b").mkdir()
    CoaddContent(seed=2).alone().writeto(other)
    listing = list_release([other, coadd, coadd])
    assert (listing.layout, listing.root, listing.spectra) == ("file-list", str(tmp_path), 12)
    assert [(file.url, file.redshift_url) for file in listing.files] == [(coadd, redrock), (other, other)]
    assert list_release([coadd, redrock]).refused == ()
    lone = list_release([other, redrock])
    assert [file.kind for file in lone.refused] == ["not-a-coadd"]


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coadd, _ = CoaddContent().write(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    assert list_release(["a"]).files == list_release([str(tmp_path / "a")]).files
    assert list_release(["a/coadd-main-dark-1.fits"]).files[0].url == coadd


def test_bad_files_are_refused_one_by_one_with_their_reasons(tmp_path: Path) -> None:
    root = tmp_path / "healpix"
    paths = [add_healpix(root, "main", "dark", pixel) for pixel in range(100, 106)]
    paths[1].write_bytes(paths[1].read_bytes()[:-50000])
    paths[2].write_bytes(b"")
    redrock = paths[3].with_name(paths[3].name.replace("coadd", "redrock"))
    redrock.write_bytes(redrock.read_bytes()[:-2880])
    paths[4].unlink()
    paths[4].symlink_to(tmp_path / "nowhere")
    listing = list_release([str(tmp_path)])
    assert names([file.url for file in listing.files]) == [
        "coadd-main-dark-100.fits",
        "coadd-main-dark-105.fits",
    ]
    assert [(names([file.url])[0], file.kind) for file in listing.refused] == [
        ("coadd-main-dark-101.fits", "truncated-file"),
        ("coadd-main-dark-102.fits", "not-fits"),
        ("coadd-main-dark-103.fits", "truncated-file"),
        ("coadd-main-dark-104.fits", "missing-file"),
    ]
    assert redrock.name in listing.refused[2].reason


def test_a_failing_disk_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coadd, _ = CoaddContent().write(tmp_path)
    real, failures = inspection.inspect, {"left": 2}

    def flaky(*arguments: object) -> object:
        if failures["left"]:
            failures["left"] -= 1
            raise RetryError("Reading a source file failed.", where=coadd)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(inspection, "inspect", flaky)
    monkeypatch.setattr(inspection, "_FIRST_PAUSE", 0.01)
    assert list_release([str(tmp_path)]).spectra == 6
    failures["left"] = 1000
    with pytest.raises(RetryError, match="No file of the release could be read"):
        list_release([str(tmp_path)])


def test_progress_is_told_file_by_file(tmp_path: Path) -> None:
    for pixel in range(5):
        add_healpix(tmp_path, "main", "dark", pixel, count=1)
    told: list[tuple[int, int]] = []
    list_release([str(tmp_path)], progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(1, 6)]


def test_the_same_tree_gives_the_same_listing(tmp_path: Path) -> None:
    for pixel in (300, 20, 1):
        add_healpix(tmp_path, "main", "dark", pixel, count=1)
    assert list_release([str(tmp_path)]) == list_release([str(tmp_path) + "/"])


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda _: [], "no-release", "No release was given"),
        (lambda root: [str(root / "nowhere")], "missing-path", "does not exist"),
        (lambda root: [str(root / "empty")], "nothing-found", "an empty directory"),
        (lambda root: [str(root / "texts")], "nothing-found", "other files"),
        (lambda root: [str(root / "texts"), str(root / "empty")], "several-directories", "2 directories"),
        (lambda root: [str(root / "junk")], "nothing-usable", "2 not-fits"),
    ],
)
def test_what_is_no_release_says_what_to_do(tmp_path: Path, make: object, kind: str, text: str) -> None:
    for folder, name in (("texts", "notes.txt"), ("junk", "a.fits"), ("junk", "b.fits")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text("text")
    (tmp_path / "empty").mkdir()
    assert callable(make)
    with pytest.raises(InputError, match=text) as caught:
        list_release(make(tmp_path))
    assert caught.value.kind == kind
    assert caught.value.remedy


def test_a_directory_that_may_not_be_read_is_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_healpix(tmp_path, "main", "dark", 1)
    real = os.scandir

    def scandir(path: str) -> object:  # permissions do not stop root, who may be running this
        if str(path).endswith("dark/0"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match="Permission denied") as caught:
        list_release([str(tmp_path)])
    assert caught.value.where.endswith("main/dark/0")


def test_an_unknown_layout_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no such layout") as caught:
        list_release([str(tmp_path)], "desi")
    assert caught.value.got == "desi"
    assert caught.value.allowed == (
        "desi-healpix, desi-uniqpix, desi-tiles, sdss-plate, sdss-spec, sdss-spec-full, sdss-spec-epoch, "
        "files"
    )


def test_a_layout_that_is_not_there(tmp_path: Path) -> None:
    coadd, _ = CoaddContent().write(tmp_path)
    with pytest.raises(InputError, match="Nothing of the layout desi-tiles"):
        list_release([str(tmp_path)], "desi-tiles")
    with pytest.raises(InputError, match="A layout describes a directory"):
        list_release([coadd], "desi-tiles")


def test_three_hundred_sdss_files_are_listed_in_time(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "real" / "sdss" / "spec-0266-51602-0573.fits"
    content = bytearray(source.read_bytes())
    with FitsFile(str(source)) as file:
        place = file.units[2].data_offset + file.units[2].columns["FIBERID"].offset
    for fibre in range(300):
        struct.pack_into(">i", content, place, fibre)
        (tmp_path / f"spec-0266-51602-{fibre:04d}.fits").write_bytes(content)
    begin = time.perf_counter()
    assert list_release([str(tmp_path)]).spectra == 300
    assert time.perf_counter() - begin < 5
