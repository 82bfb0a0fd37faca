"""The command export: its files, its refusals; a coadd goes round through the survey's own reader."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import whyspec
from engine.query.query import QuerySettings, answer
from engine.store.reading import StoreView
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from flows.command_line import run_command
from flows.run_release import run_release
from infra.settings import Settings
from models.weights import save_model
from tests.conftest import random_model
from tests.small_run import small_release, small_request
from tests.synthetic_store import SyntheticStore, synthetic_store


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    return synthetic_store(tmp_path_factory.mktemp("export") / "odd.zarr", unplaced=2)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a real run over DESI's files, most of whose spectra are explained."""
    directory = tmp_path_factory.mktemp("ran")
    save_model(random_model(), directory / "model")
    release = small_release(directory / "release", 14, seed=32, per_file=7)
    request = small_request(release, directory / "odd.zarr", directory / "model")
    run_release(replace(request, threshold=0.9), Settings())
    return directory


@pytest.fixture(scope="module")
def coadd(ran: Path) -> Path:
    path = ran / "mine.fits"
    assert run_command(["export", str(ran / "odd.zarr"), "--spectra", str(path)]) == 0
    return path


def test_a_coadd_is_read_back_with_the_same_flux(ran: Path, coadd: Path) -> None:
    columns = ("key", "target_id", "source", "source_row", "redshift", "spectype", "exposures")
    asked = answer(StoreView.open(str(ran / "odd.zarr")), QuerySettings(columns=columns))
    sources = {each.url: each for each in list_release([str(ran / "release")]).files}
    (file,) = list_release([str(coadd)]).files
    again = read_spectra(file, 0, file.spectra)
    assert len(again.rows) == len(asked) > 5
    for name in ("target_id", "redshift", "spectype", "exposures"):
        assert again.rows[name].tolist() == asked[name].tolist()
    for number, (source, row) in enumerate(zip(asked["source"], asked["source_row"], strict=True)):
        first = read_spectra(sources[source], row, row + 1)
        np.testing.assert_array_equal(again.ivar[number] > 0, first.ivar[0] > 0)
        np.testing.assert_allclose(again.flux[number], first.flux[0], rtol=3e-7)
        np.testing.assert_allclose(again.ivar[number], first.ivar[0], rtol=3e-7)


def test_explain_finds_one_spectrum_of_a_coadd_with_its_redshift(coadd: Path) -> None:
    with fits.open(coadd) as file:
        target, redshift = file["REDSHIFTS"].data[2]["TARGETID"], file["REDSHIFTS"].data[2]["Z"]
        flux = file["BRZ_FLUX"].data[2]
    found = whyspec.read(str(coadd), target_id=int(target))
    assert (found.target_id, found.redshift, found.spectral_class) == (target, redshift, "GALAXY")
    np.testing.assert_array_equal(found.flux, np.where(found.ivar > 0, flux, 0))


def test_a_coadd_holds_maps_and_says_what_it_lacks(ran: Path, coadd: Path) -> None:
    view = StoreView.open(str(ran / "odd.zarr"))
    numbers = answer(view, QuerySettings(columns=("outlier_row",)))["outlier_row"]
    with fits.open(coadd) as file:
        assert file[0].header["SPECPROD"] == "iron"
        assert "There is no RESOLUTION" in " ".join(file[0].header["COMMENT"])
        assert not any(unit.name.endswith("RESOLUTION") for unit in file)
        for row, number in enumerate(numbers):
            stored = view.outlier(int(number))
            np.testing.assert_array_equal(file["BRZ_ATTRIBUTION"].data[row], stored.combined)
            np.testing.assert_array_equal(file["BRZ_MAP512"].data[row], stored.maps[1])
            np.testing.assert_array_equal(file["BRZ_MASK"].data[row] != 0, stored.ivar == 0)
            places = file["PLACES"].data
            found = places["place_wavelength"][places["spectrum"] == row].tolist()
            assert found == [each.wavelength for each in stored.places]
        assert len(file["EXTRA_CATALOG"].data) == len(file["SCORES"].data) == len(numbers)


def test_desispec_opens_a_coadd(coadd: Path) -> None:
    io = pytest.importorskip("desispec.io", reason="desispec, of the extra peers, is not installed")
    found = io.read_spectra(str(coadd), single=True, return_redshifts=True)
    with fits.open(coadd) as file:
        np.testing.assert_array_equal(found.flux["brz"], file["BRZ_FLUX"].data)
        np.testing.assert_array_equal(found.extra["brz"]["MAP64"], file["BRZ_MAP64"].data)
    assert len(found.redshifts) == len(found.fibermap)


def test_each_kind_says_what_was_written_and_left_out(
    plain: SyntheticStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hats = ["export", plain.url, "--status", "any", "--hats", str(tmp_path / "hats"), "--json"]
    assert run_command(hats) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["what"], found["spectra"]) == ("HATS catalogue", 148)
    assert found["left_out"] == [{"spectra": 2, "reason": "without a position on the sky"}]
    assert (
        run_command(["export", plain.url, "z < 0.1", "--top", "3", "--votable", str(tmp_path / "a.vot")]) == 0
    )
    assert f"VOTable: 3 spectra: {tmp_path / 'a.vot'}" in capsys.readouterr().out
    assert run_command(["export", plain.url, "--top", "2", "--spectra", str(tmp_path / "two")]) == 0
    shown = capsys.readouterr().out
    assert "tables of spectra for specutils: 2 spectra in 3 files" in shown
    assert "the survey's mask bits are not kept" in shown


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        ((), 64, "An export writes one kind of thing."),
        (("--hats", "a", "--votable", "b.vot"), 64, "--hats and --votable"),
        (("--spectra", "coadd.fits"), 64, "A coadd of DESI holds spectra of DESI alone."),
        (("--hats", "."), 66, "there is something of that name"),
        (("--hats", "none/hats"), 66, "its directory does not exist"),
        (("--z", "8:9", "--hats", "hats"), 66, "Nothing of the selection can be exported."),
        (("--z", "9:8", "--hats", "hats"), 64, "That is not a redshift range"),
    ],
)
def test_what_cannot_be_is_refused(
    plain: SyntheticStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    status: int,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["export", plain.url, *options]) == status
    assert text in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_into_a_store(plain: SyntheticStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["export", plain.url, "--hats", f"{plain.url}/hats"]) == 66
    assert "a place in the store" in capsys.readouterr().err
