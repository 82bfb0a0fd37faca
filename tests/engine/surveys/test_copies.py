"""Files that hold the same spectra: one is used, the others are named; keys that tell twins apart."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest
from astropy.io import fits

from engine.simulation.release import SimulationSettings, simulate_release
from engine.spectra.source_file import ReleaseListing
from engine.surveys.listing import list_release
from engine.surveys.reading import inspect, read_spectra
from tests.engine.surveys.coadd_files import CoaddContent

SPEC = "real/sdss/spec-0266-51602-0573.fits"


def listed(root: Path) -> ReleaseListing:
    return list_release([str(root)])


def names(listing: ReleaseListing) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, str]]]:
    """Names of the files, and names and kinds of those skipped and refused."""
    skipped, refused = (
        [(Path(file.url).name, file.kind) for file in files] for files in (listing.skipped, listing.refused)
    )
    return [Path(file.url).name for file in listing.files], skipped, refused


def test_copies_of_a_file_are_skipped_and_named(tmp_path: Path, real_data: Path) -> None:
    original = tmp_path / "spec-0266-51602-0573.fits"
    shutil.copy(real_data / SPEC, original)
    shutil.copy(real_data / SPEC, tmp_path / "spec-0266-51602-0573 (1).fits")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "spec-0266-51602-0573.fits").symlink_to(original)
    listing = listed(tmp_path)
    copies = [("spec-0266-51602-0573 (1).fits", "superseded"), ("spec-0266-51602-0573.fits", "superseded")]
    assert names(listing) == ([original.name], copies, [])
    assert listing.files[0].url == str(original)
    assert f"got: the same spectra as {original}" in listing.skipped[0].reason
    # The one that a store has stays the one that is used.
    copy = next(file.url for file in listing.skipped if "(1)" in file.url)
    known = {copy: inspect(copy)}
    assert [file.url for file in list_release([str(tmp_path)], known=known).files] == [copy]


@pytest.mark.parametrize("changed", [False, True])
def test_of_a_file_and_itself_compressed_the_plain_one_is_read(tmp_path: Path, changed: bool) -> None:
    coadd = Path(CoaddContent(seed=1).write(tmp_path)[0])
    packed = coadd.with_name(f"{coadd.name}.gz")
    packed.write_bytes(gzip.compress(coadd.read_bytes(), 1))
    if changed:
        CoaddContent(seed=2).write(tmp_path)
    for listing in (listed(tmp_path), list_release([str(packed), str(coadd)])):
        assert names(listing) == ([coadd.name], [(packed.name, "superseded")], [])


def test_other_values_for_the_same_spectra_are_refused(tmp_path: Path, real_data: Path) -> None:
    shutil.copy(real_data / SPEC, tmp_path / "spec-0266-51602-0573.fits")
    with fits.open(real_data / SPEC) as hdus:
        hdus[1].data["flux"][:] += 1
        hdus.writeto(tmp_path / "spec-0266-51602-0573 (1).fits")
    listing = listed(tmp_path)
    other = ("spec-0266-51602-0573 (1).fits", "conflicting-file")
    assert names(listing) == (["spec-0266-51602-0573.fits"], [], [other])
    assert "got: spectra of 26/0266-51602-0573, as in " in listing.refused[0].reason


def test_what_a_layout_does_not_take_is_named(tmp_path: Path, real_data: Path) -> None:
    pixel = tmp_path / "healpix" / "main" / "dark" / "0" / "7"
    coadd = Path(CoaddContent().write(pixel, name="main-dark-7.fits")[0])
    stray = coadd.with_name("coadd-main-dark-7 (1).fits")
    shutil.copy(coadd, stray)
    assert names(listed(tmp_path)) == ([coadd.name], [(stray.name, "outside-layout")], [])
    plates = tmp_path / "sdss"
    release = SimulationSettings("sdss", 3, seed=6, release="boss", form="plate")
    (plate,) = simulate_release(release, plates).path.rglob("spPlate-*.fits")
    shutil.copy(real_data / SPEC, plates)
    assert names(listed(plates)) == ([plate.name], [(Path(SPEC).name, "outside-layout")], [])


def key(directory: Path, name: str, **header: object) -> str:
    """The first key of a coadd of that name; its targets are always the same."""
    content = CoaddContent(count=1, header=header)
    content.targetid[0] = content.redrock_targetid[0] = 77
    return read_spectra(inspect(*content.write(directory, name=name))).rows.keys()[0]


def test_a_target_in_two_pixels_has_two_keys(tmp_path: Path) -> None:
    main = {"SURVEY": "main", "PROGRAM": "dark", "SPGRP": "healpix", "SPGRPVAL": 8360}
    assert key(tmp_path, "main-dark-8360.fits", **main) == "/main/dark/8360/77"
    assert key(tmp_path, "main-dark-8400.fits", **main) == "/main/dark/8400/77"
    assert key(tmp_path, "mine.fits", **main) == "/main/dark/8360/77"
    assert key(tmp_path, "mine.fits", SURVEY="main", PROGRAM="dark", HPXPIXEL=5) == "/main/dark/5/77"


@pytest.mark.parametrize(
    ("name", "header", "expected"),
    [
        ("4-80613-thru20210324.fits", {"TILEID": 80613}, "/tiles/80613/4/77"),
        ("4-80613-thru20210410.fits", {"TILEID": 80613}, "/tiles/80613/4/77"),
        ("4-80613-20210401.fits", {"TILEID": 80613}, "/tiles/80613/4-20210401/77"),
        ("4-80613-20210402.fits", {"TILEID": 80613, "SPGRP": "healpix"}, "/tiles/80613/4-20210402/77"),
        ("4-80613-exp00068657.fits", {"TILEID": 80613}, "/tiles/80613/4-exp00068657/77"),
        ("4-80613-20210401.fits", {"SURVEY": "main", "PROGRAM": "dark"}, "/main/dark/80613-4-20210401/77"),
        (
            "x.fits",
            {"TILEID": 80613, "PETAL": 4, "SPGRP": "perexp", "SPGRPVAL": 68657},
            "/tiles/80613/4-exp00068657/77",
        ),
        (
            "x.fits",
            {"TILEID": 80613, "PETAL": 4, "SPGRP": "pernight", "SPGRPVAL": 20210401},
            "/tiles/80613/4-20210401/77",
        ),
        (
            "x.fits",
            {"TILEID": 80613, "PETAL": 4, "SPGRP": "cumulative", "SPGRPVAL": 20210401},
            "/tiles/80613/4/77",
        ),
    ],
)
def test_a_target_of_a_tile_has_a_key_for_every_night(
    tmp_path: Path, name: str, header: dict[str, object], expected: str
) -> None:
    assert key(tmp_path, name, **header) == expected


def test_where_nothing_names_a_coadd_its_content_does(tmp_path: Path) -> None:
    found = key(tmp_path, "x.fits")
    assert found.startswith("///")
    assert found.endswith("/77")
    for kind in ("coadd", "redrock"):
        (tmp_path / f"{kind}-x.fits").rename(tmp_path / f"{kind}-y.fits")
    again = inspect(str(tmp_path / "coadd-y.fits"), str(tmp_path / "redrock-y.fits"))
    assert (read_spectra(again).rows.keys()[0], again.key_prefix) == (found, "")
