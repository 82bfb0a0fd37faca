"""SDSS reductions by their real paths: which files are candidates, and which form of the spectra is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.surveys.layout import Found
from engine.surveys.recognition import find, layouts, recognise
from tests.engine.surveys.trees import touch

LAYOUT = {layout.name: layout for layout in layouts()}


def paths(found: Found, root: Path) -> list[str]:
    return [candidate.url.removeprefix(f"{root}/") for candidate in found.candidates]


def pairs(found: Found, root: Path) -> list[tuple[str, str]]:
    return [
        (one.url.removeprefix(f"{root}/"), one.redshift_url.removeprefix(f"{root}/"))
        for one in found.candidates
    ]


@pytest.mark.parametrize(
    "path",
    [
        "v5_13_2/spectra/lite/3606/spec-3606-55182-0679.fits",  # DR17
        "26/spectra/lite/0266/spec-0266-51602-0573.fits",
        "v6_0_4/spectra/lite/15000p/59187/spec-15000-59187-04375924598.fits",  # DR18
        "v6_1_3/spectra/lite/112360/60000/spec-112360-60000-27021598150202075.fits",  # DR19
        "v6_1_3/spectra/lite/015000p/59187/spec-015000-59187-4375924598.fits",
        "v6_1_3/epoch/spectra/lite/112360/60000/spec-112360-60000-27021598150202075.fits",
        "v6_2_1/spectra/daily/lite/112XXX/112360/60000/spec-112360-60000-27021598150202075.fits",  # DR20
        "v6_2_1/spectra/epoch/lite/112XXX/112360/60000/spec-112360-60000-27021598150202075.fits",
    ],
)
def test_spectra_of_every_release_are_found_from_any_directory_above(tmp_path: Path, path: str) -> None:
    touch(tmp_path, path)
    run2d = tmp_path / path.split("/", maxsplit=1)[0]
    for root in (tmp_path, run2d, run2d / "spectra", (tmp_path / path).parent.parent):
        if root.is_dir():
            scheme, found = recognise(str(root))
            assert scheme.name == "sdss-spec"
            assert [candidate.url for candidate in found.candidates] == [str(tmp_path / path)]


def test_lite_before_full_and_daily_before_epoch_unless_asked(tmp_path: Path) -> None:
    name = "112XXX/112360/60000/spec-112360-60000-27021598150202075.fits"
    for form in ("daily/lite", "daily/full", "epoch/lite", "epoch/full"):
        touch(tmp_path, f"spectra/{form}/{name}")
    chosen = {
        "": f"spectra/daily/lite/{name}",
        "sdss-spec": f"spectra/daily/lite/{name}",
        "sdss-spec-full": f"spectra/daily/full/{name}",
        "sdss-spec-epoch": f"spectra/epoch/lite/{name}",
    }
    for layout, path in chosen.items():
        found = find(LAYOUT[layout], str(tmp_path)) if layout else recognise(str(tmp_path))[1]
        assert paths(found, tmp_path) == [path]


def test_several_reductions_below_one_directory_give_every_spectrum_once(tmp_path: Path) -> None:
    for form in ("lite", "full"):
        touch(tmp_path, f"26/spectra/{form}/0266/spec-0266-51602-0573.fits")
        touch(tmp_path, f"v5_13_2/spectra/{form}/3606/spec-3606-55182-0679.fits")
    touch(tmp_path, "v5_13_2/spectra/full/3606/spec-3606-55182-0680.fits")
    scheme, found = recognise(str(tmp_path))
    assert scheme.name == "sdss-spec"
    assert paths(found, tmp_path) == [
        "26/spectra/lite/0266/spec-0266-51602-0573.fits",
        "v5_13_2/spectra/full/3606/spec-3606-55182-0680.fits",
        "v5_13_2/spectra/lite/3606/spec-3606-55182-0679.fits",
    ]
    assert [file.kind for file in found.skipped] == ["superseded", "superseded"]


def test_plates_before_single_spectra_unless_asked(tmp_path: Path) -> None:
    spectrum = "spectra/lite/3606/spec-3606-55182-0679.fits"
    touch(tmp_path, "3606/spPlate-3606-55182.fits", "3606/spFlux.txt", spectrum)
    scheme, found = recognise(str(tmp_path))
    assert (scheme.name, paths(found, tmp_path)) == ("sdss-plate", ["3606/spPlate-3606-55182.fits"])
    assert paths(find(LAYOUT["sdss-spec"], str(tmp_path)), tmp_path) == [spectrum]


def test_each_mjd_of_a_plate_goes_with_its_own_redshifts(tmp_path: Path) -> None:
    root = tmp_path / "v5_13_2"
    touch(
        root,
        "3606/spPlate-3606-55182.fits",
        "3606/spPlate-3606-55190.fits",
        "3606/v5_13_2/spZbest-3606-55182.fits",
        "3606/v5_13_2/spZbest-3606-55190.fits",
        "3607/spPlate-3607-55182.fits",
        "3606/v5_13_2/spZall-3606-55182.fits",
        "3606/spCFrame-b1-00000001.fits",
    )
    assert pairs(recognise(str(root))[1], root) == [
        ("3606/spPlate-3606-55182.fits", "3606/v5_13_2/spZbest-3606-55182.fits"),
        ("3606/spPlate-3606-55190.fits", "3606/v5_13_2/spZbest-3606-55190.fits"),
        ("3607/spPlate-3607-55182.fits", ""),
    ]


def test_of_several_runs_of_redshifts_that_of_run2d_wins_else_the_highest(tmp_path: Path) -> None:
    for plate, runs in (("3606", ("v5_9_0", "v5_13_2", "v5_14_0")), ("3607", ("v5_9_0", "v5_13_0"))):
        touch(
            tmp_path,
            f"v5_13_2/{plate}/spPlate-{plate}-55182.fits",
            f"v5_13_2/{plate}/spZbest-{plate}-55182.fits",
        )
        touch(tmp_path, *(f"v5_13_2/{plate}/{run}/spZbest-{plate}-55182.fits" for run in runs))
    for root in (tmp_path, tmp_path / "v5_13_2"):
        assert [one.redshift_url for one in recognise(str(root))[1].candidates] == [
            f"{tmp_path}/v5_13_2/3606/v5_13_2/spZbest-3606-55182.fits",
            f"{tmp_path}/v5_13_2/3607/v5_13_0/spZbest-3607-55182.fits",
        ]


def test_fields_of_sdss_v_are_paired_too(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "112360/spField-112360-60000.fits",
        "112360/v6_1_3/spZbest-112360-60000.fits",
        "015000p/spField-015000-59187.fits",
        "015000p/spZbest-015000-59187.fits",
        "spectra/lite/112360/60000/spec-112360-60000-27021598150202075.fits",
    )
    scheme, found = recognise(str(tmp_path))
    assert scheme.name == "sdss-plate"
    assert pairs(found, tmp_path) == [
        ("015000p/spField-015000-59187.fits", "015000p/spZbest-015000-59187.fits"),
        ("112360/spField-112360-60000.fits", "112360/v6_1_3/spZbest-112360-60000.fits"),
    ]
