"""Spectra that people hold: files that no run takes are read, and those that are not are named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import QTable
from numpy.typing import NDArray
from pyarrow import parquet

import whyspec
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.listing import list_release
from engine.surveys.sdss.grid import SDSS_GRID
from flows.command_line import run_command
from flows.spectrum.chosen_spectrum import chosen_spectrum
from flows.spectrum.spectrum_choice import ChosenSpectrum, SpectrumRequest
from models.errors import ConfigurationError, InputError
from models.row_status import RowStatus
from models.weights import save_model
from tests.conftest import random_model
from tests.engine.surveys.coadd_files import PIXELS, CoaddContent, slow_coadd

TARGETS = (39627866878511337, 39627866878511999)
WAVELENGTH = np.arange(4000.0, 9000.0, 1.7)


def chosen(file: Path | str, **asked: Any) -> ChosenSpectrum:
    return chosen_spectrum(request(file, **asked))


def request(file: Path | str, **asked: Any) -> SpectrumRequest:
    known = {"target_id": None, "row": None, "model": None, "attribution": OcclusionSettings()}
    return SpectrumRequest(str(file), **{**known, **asked})


def refused(file: Path | str, **asked: Any) -> whyspec.WhyspecError:
    with pytest.raises(whyspec.WhyspecError) as caught:
        chosen(file, **asked)
    return caught.value


def columns(seed: int = 0) -> dict[str, NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    size = WAVELENGTH.size
    return {
        "wavelength": WAVELENGTH,
        "flux": generator.normal(3, 1, size),
        "ivar": generator.uniform(0.5, 2, size) * (generator.uniform(size=size) > 0.05),
    }


# Tables.


def test_a_csv_is_read_digit_by_digit(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    pd.DataFrame(columns()).to_csv(path, index=False)
    spectrum = whyspec.read(str(path), redshift=0.1)
    np.testing.assert_array_equal(spectrum.wavelength, WAVELENGTH)
    np.testing.assert_array_equal(spectrum.ivar, columns()["ivar"])
    assert (spectrum.key, spectrum.source, spectrum.redshift) == ("mine.csv#0", str(path), 0.1)
    found = chosen(path, redshift=0.1)
    assert found.spectra.grid == DESI_GRID
    assert found.spectra.rows["spectype"][0] == "GALAXY"
    assert [note.split(":")[0] for note in found.notes] == [
        "No class was given",
        "The spectrum was resampled to the desi grid",
    ]
    assert chosen(path, redshift=0.1, model="sdss-galaxy").spectra.grid == SDSS_GRID


@pytest.mark.parametrize(
    "names",
    [
        {"wavelength": "WAVE", "flux": "Flux", "ivar": "IVAR"},
        {"wavelength": "lam", "flux": "flam", "ivar": "invvar"},
    ],
)
def test_columns_have_many_names(tmp_path: Path, names: dict[str, str]) -> None:
    path = tmp_path / "mine.csv"
    pd.DataFrame(columns()).rename(columns=names).to_csv(path, index=False)
    np.testing.assert_array_equal(whyspec.read(str(path)).flux != 0, columns()["ivar"] > 0)


def test_errors_variances_and_masks_become_inverse_variances(tmp_path: Path) -> None:
    given = {
        "loglam": np.log10(WAVELENGTH[:4]),
        "flux": [1.0, 2.0, 3.0, 4.0],
        "error": [0.5, 0.0, np.inf, 2.0],
        "mask": [0, 0, 0, 1],
    }
    pd.DataFrame(given).to_csv(tmp_path / "error.csv", index=False)
    np.testing.assert_array_equal(whyspec.read(str(tmp_path / "error.csv")).ivar, [4, 0, 0, 0])
    given["variance"] = [0.5, -1.0, 1.0, 1.0]
    del given["error"]
    given["mask"] = [0, 16, 0, 2]
    pd.DataFrame(given).to_csv(tmp_path / "variance.csv", index=False)
    spectrum = whyspec.read(str(tmp_path / "variance.csv"))
    np.testing.assert_array_equal(spectrum.ivar, [2, 0, 1, 1])
    assert "mask holds bits of its survey and was not used" in spectrum.notes[0]


def test_what_a_table_says_counts_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    table = pd.DataFrame(columns()).assign(z=0.25, spectype="QSO", targetid=TARGETS[0])
    table.to_csv(path, index=False)
    spectrum = whyspec.read(str(path))
    assert (spectrum.redshift, spectrum.spectral_class, spectrum.target_id) == (0.25, "QSO", TARGETS[0])
    found = chosen(path, redshift=0.3, spectral_class="STAR")
    assert (found.spectra.rows["redshift"][0], found.spectra.rows["spectype"][0]) == (0.3, "STAR")


def test_a_long_table_may_hold_several_spectra(tmp_path: Path) -> None:
    path = tmp_path / "several.csv"
    parts = [pd.DataFrame(columns(n)).assign(targetid=target) for n, target in enumerate(TARGETS)]
    pd.concat(parts).to_csv(path, index=False)
    spectrum = whyspec.read(str(path), target_id=TARGETS[1])
    np.testing.assert_array_equal(spectrum.ivar, columns(1)["ivar"])
    assert whyspec.read(str(path), row=0).target_id == TARGETS[0]
    assert "Which of the 2 spectra" in str(refused(path))
    assert f"TARGETID {TARGETS[0]}, {TARGETS[1]}" in refused(path, target_id=7).allowed


def test_parquet_as_sparcl_returns_it_has_a_row_for_each_spectrum(tmp_path: Path) -> None:
    path = tmp_path / "sparcl.parquet"
    lists = {name: [columns(n)[name].tolist() for n in range(2)] for name in columns()}
    table = {**lists, "targetid": list(TARGETS), "redshift": [0.1, 0.2], "spectype": ["GALAXY", "QSO"]}
    parquet.write_table(pa.table({**table, "data_release": ["DESI-DR1"] * 2}), path)
    spectrum = whyspec.read(str(path), target_id=TARGETS[1])
    np.testing.assert_array_equal(spectrum.wavelength, WAVELENGTH)
    np.testing.assert_array_equal(spectrum.ivar, columns(1)["ivar"])
    assert (spectrum.redshift, spectrum.spectral_class, spectrum.target_id) == (0.2, "QSO", TARGETS[1])
    assert spectrum.key == f"sparcl.parquet/{TARGETS[1]}"


def test_ecsv_has_units(tmp_path: Path) -> None:
    given = columns()
    unit = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    table = {
        "wavelength": given["wavelength"] / 10 * units.nm,
        "flux": given["flux"] * unit,
        "ivar": given["ivar"] * unit**-2,
    }
    QTable(table).write(tmp_path / "mine.ecsv")
    spectrum = whyspec.read(str(tmp_path / "mine.ecsv"))
    np.testing.assert_allclose(spectrum.wavelength, WAVELENGTH)
    np.testing.assert_allclose(spectrum.ivar, given["ivar"])


def test_a_class_that_no_row_holds_is_refused(tmp_path: Path) -> None:
    table = pd.DataFrame(columns()).assign(spectype="a very odd galaxy indeed")
    table.to_csv(tmp_path / "mine.csv", index=False)
    error = refused(tmp_path / "mine.csv", redshift=0.1)
    assert error.what == "The spectral class is too long."
    assert chosen(tmp_path / "mine.csv", redshift=0.1, spectral_class="QSO").spectra.rows["spectype"] == "QSO"
    assert "at most 16" in refused(tmp_path / "mine.csv", redshift=0.1, spectral_class="Q" * 17).allowed


def test_air_is_converted(tmp_path: Path) -> None:
    pd.DataFrame(columns()).to_csv(tmp_path / "mine.csv", index=False)
    moved = whyspec.read(str(tmp_path / "mine.csv"), medium="air").wavelength - WAVELENGTH
    assert ((moved > 1.1) & (moved < 2.6)).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "table cannot be read.*EmptyDataError"),
        ("a,b\n1,2\n", "lacks a column.*got: a, b.*wavelength, wave"),
        ("wavelength,flux\n1,2\n2,3\n", "lacks a column.*ivar, invvar"),
        ("wavelength,flux,ivar\n1,2,1\n1,3,1\n", "Wavelengths repeat"),
        ("wavelength,flux,ivar\n1,x,1\n2,3,1\n", "no numbers"),
        ('wavelength,flux,ivar\n"[1.0, 2.0]","[1 ... 2]","[1, 1]"\n', "arrays as texts.*as Parquet"),
        ("\0\x01", "table is empty"),
        ("wavelength,flux,ivar\n", "table is empty"),
    ],
)  # fmt: skip
def test_tables_that_hold_no_spectrum_are_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(InputError, match="(?s)" + words):
        chosen(tmp_path / "bad.csv", redshift=0.1)
    (tmp_path / "bad.parquet").write_text(content)
    assert "The table cannot be read." in str(refused(tmp_path / "bad.parquet", redshift=0.1))


def test_a_redshift_is_needed(tmp_path: Path) -> None:
    pd.DataFrame(columns()).to_csv(tmp_path / "mine.csv", index=False)
    error = refused(tmp_path / "mine.csv")
    assert (error.kind, error.exit_code) == ("no-redshift", 66)
    assert "--redshift Z" in error.remedy


# DESI's single exposures.


def exposures(directory: Path, name: str = "spectra-main-dark-1.fits") -> tuple[CoaddContent, Path]:
    """A file of six exposures of two targets; of the second target one is bad, one has a bad amplifier."""
    content = CoaddContent()
    content.targetid = np.array([TARGETS[0], TARGETS[1], TARGETS[0], TARGETS[1], TARGETS[0], TARGETS[1]])
    content.fiberstatus = np.array([0, 1 << 16, 8, 1 << 23, 0, 0], dtype=np.int32)
    content.redrock_targetid = np.array(TARGETS)
    content.redshift, content.zwarn = np.array([0.2, 0.4]), np.zeros(2, np.int64)
    hdus = content.hdus()
    hdus["FIBERMAP"].columns.change_name("COADD_FIBERSTATUS", "FIBERSTATUS")
    path = directory / name
    directory.mkdir(parents=True, exist_ok=True)
    hdus.writeto(path)
    return content, path


def slowly(
    content: CoaddContent, good: dict[str, list[int]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Flux and ivar of these rows by arm, on DESI's grid, pixel by pixel in float64."""
    weighted, ivar = np.zeros(7781), np.zeros(7781)
    for arm, (first, size) in PIXELS.items():
        for row in good[arm]:
            for pixel in range(size):
                if content.mask[arm][row, pixel] == 0:
                    weight = float(content.ivar[arm][row, pixel])
                    weighted[first + pixel] += weight * float(content.flux[arm][row, pixel])
                    ivar[first + pixel] += weight
    return np.divide(weighted, ivar, out=np.zeros(7781), where=ivar > 0), ivar


def test_exposures_of_a_target_are_coadded(tmp_path: Path) -> None:
    content, path = exposures(tmp_path)
    for target, good in (
        (TARGETS[0], {"B": [0, 2, 4], "R": [0, 2, 4], "Z": [0, 2, 4]}),
        (TARGETS[1], {"B": [3, 5], "R": [5], "Z": [3, 5]}),
    ):
        found = chosen(path, target_id=target, redshift=0.3)
        flux, ivar = slowly(content, good)
        np.testing.assert_allclose(found.spectra.flux[0], flux, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(found.spectra.ivar[0], ivar, rtol=2e-6)
        row = found.spectra.rows.data[0]
        assert (row["target_id"], row["redshift"], row["status"]) == (target, 0.3, RowStatus.SCORED)
        assert row["spectype"] == "GALAXY"
        assert "without a search for cosmic rays" in found.notes[0]


def test_exposures_have_the_redshift_of_redrock_beside_them(tmp_path: Path) -> None:
    content, path = exposures(tmp_path)
    content.redrock().writeto(tmp_path / "redrock-main-dark-1.fits")
    found = chosen(path, row=1)
    assert found.spectra.rows["redshift"][0] == 0.4
    assert found.spectra.rows["spectype"][0] == "GALAXY"
    assert found.spectra.rows["key"][0].endswith(f"/{TARGETS[1]}")
    assert whyspec.read(str(path), row=0).redshift == 0.2


def test_a_target_without_a_good_exposure_says_so(tmp_path: Path) -> None:
    _, path = exposures(tmp_path)
    with fits.open(path) as hdus:
        hdus["FIBERMAP"].data["FIBERSTATUS"] = 1 << 16
        hdus.writeto(tmp_path / "spectra-bad.fits")
    found = chosen(tmp_path / "spectra-bad.fits", row=0, redshift=0.1)
    assert found.spectra.rows["status"][0] == RowStatus.BAD_FIBRE
    assert not found.spectra.ivar.any()
    assert "broken" in whyspec.read(str(tmp_path / "spectra-bad.fits"), row=0, redshift=0.1).notes[-1]


def test_a_coadd_without_redrock_takes_the_redshift_that_is_given(tmp_path: Path) -> None:
    content = CoaddContent()
    path, _ = content.write(tmp_path, redrock=False)
    assert "have no redshifts" in str(refused(path, row=2))
    found = chosen(path, row=2, redshift=0.2)
    flux, ivar = slow_coadd(path)
    np.testing.assert_allclose(found.spectra.flux[0], flux[2], rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(found.spectra.ivar[0], ivar[2], rtol=2e-6)
    assert found.spectra.rows["redshift"][0] == 0.2


@pytest.mark.real_data
def test_real_exposures_give_the_real_coadd(real_data: Path) -> None:
    folder = real_data / "real" / "desi"
    target = 39627866878511337  # observed once, so that the pipeline rejected nothing
    ours = chosen(folder / "spectra-sv3-dark-26065.fits", target_id=target, redshift=0.3).spectra
    theirs = chosen(folder / "coadd-sv3-dark-26065.fits", target_id=target, redshift=0.3).spectra
    both = (ours.ivar > 0) & (theirs.ivar > 0)
    assert both.mean() > 0.98
    np.testing.assert_allclose(ours.flux[both], theirs.flux[both], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.ivar[both], theirs.ivar[both], rtol=1e-5)


# SDSS's spectra of DR7.


def sp_spec(path: Path, **header: object) -> tuple[NDArray[np.float32], Path]:
    """A file as DR7 has them, with a pixel without error, a masked one, and one with a harmless bit."""
    generator = np.random.default_rng(1)
    image = np.zeros((5, 3850), np.float32)
    image[0] = generator.normal(10, 1, 3850)
    image[2] = generator.uniform(0.5, 1.5, 3850)
    image[2, 5] = 0.0
    image[3, 7], image[3, 8] = 1 << 23, 1 << 20  # bright sky masks a pixel, scattered light does not
    primary = fits.PrimaryHDU(image)
    known = {
        "COEFF0": 3.58, "COEFF1": 1e-4, "Z": 0.08, "Z_ERR": 1e-4, "Z_STATUS": 4, "SPEC_CLN": 2,
        "PLATEID": 266, "MJD": 51602, "FIBERID": 9, "RAOBJ": 146.7, "DECOBJ": -0.2,
    }  # fmt: skip
    primary.header.update({**known, **header})
    primary.writeto(path)
    return image, path


def test_a_spectrum_of_dr7_is_read(tmp_path: Path) -> None:
    image, path = sp_spec(tmp_path / "spSpec-51602-0266-009.fit")
    found = chosen(path).spectra
    assert found.grid == SDSS_GRID
    place = slice(400, 400 + 3850)
    good = np.ones(3850, bool)
    good[[5, 7]] = False
    np.testing.assert_array_equal(found.flux[0, place], np.where(good, image[0], 0))
    np.testing.assert_allclose(
        found.ivar[0, place][good], 1 / np.square(image[2][good].astype(np.float64)), rtol=1e-6
    )
    assert not found.ivar[0, place][~good].any()
    assert not found.ivar[0, :400].any()
    row = found.rows.data[0]
    assert row["key"] == "dr7/0266-51602-0009"
    assert (row["redshift"], row["spectype"], row["status"]) == (0.08, "GALAXY", RowStatus.SCORED)
    assert (row["plate"], row["mjd"], row["fiber"], row["ra"]) == (266, 51602, 9, 146.7)


@pytest.mark.parametrize(
    ("header", "spectype", "status"),
    [
        ({"SPEC_CLN": 4}, "QSO", RowStatus.SCORED),
        ({"SPEC_CLN": 6}, "STAR", RowStatus.SCORED),
        ({"SPEC_CLN": 5}, "GALAXY", RowStatus.SKY_FIBRE),
        ({"Z_STATUS": 1}, "GALAXY", RowStatus.NO_REDSHIFT),
    ],
)
def test_class_and_status_of_dr7(
    tmp_path: Path, header: dict[str, object], spectype: str, status: RowStatus
) -> None:
    _, path = sp_spec(tmp_path / "spSpec-51602-0266-009.fit", **header)
    found = chosen(path).spectra.rows
    assert (found["spectype"][0], found["status"][0]) == (spectype, status)


def test_what_is_wrong_with_a_spectrum_of_dr7_is_told(tmp_path: Path) -> None:
    _, path = sp_spec(tmp_path / "other.fits", COEFF1=2e-4)
    error = refused(path)
    assert (error.kind, error.exit_code) == ("unreadable-spectrum", 66)
    assert "wrong-grid" in error.got


@pytest.mark.parametrize("made", [lambda path: sp_spec(path / "spSpec-1.fit"), exposures])
def test_a_run_names_the_command_that_reads_what_it_does_not(
    tmp_path: Path, made: Callable[[Path], object]
) -> None:
    made(tmp_path)
    with pytest.raises(InputError) as caught:
        list_release([str(next(tmp_path.iterdir()))])
    assert "`whyspec explain`" in caught.value.remedy


@pytest.mark.real_data
def test_the_real_spectrum_of_dr7(real_data: Path) -> None:
    found = chosen(real_data / "real" / "sdss_spSpec" / "sample_sdss.fits").spectra
    assert found.rows["key"][0] == "dr7/1307-52999-0323"
    assert found.rows["redshift"][0] == pytest.approx(0.0410313)
    assert found.rows["good_fraction"][0] > 0.75
    wavelength, flux = found.grid.wavelength(), found.flux[0]
    halpha = (wavelength > 6564.6 * 1.041 - 10) & (wavelength < 6564.6 * 1.041 + 10)
    assert flux[halpha].max() > 1.2 * np.median(flux[flux > 0])


# What is not read.


@pytest.mark.parametrize(
    ("name", "kind", "remedy"),
    [
        ("zall-pix-iron.fits", "a DESI catalogue: redshifts without spectra", "coadd-"),
        ("cframe-b0-00084000.fits", "a DESI frame: one camera of one exposure", "coadd-"),
        ("spAll-v5_13_2.fits", "an SDSS catalogue without spectra", "spec-"),
        ("apStar-dr17-2M0000.fits", "an APOGEE spectrum, in the infrared", "No model ships"),
        ("rrdetails-main-dark-1.h5", "a by-product of DESI's redshifts", "coadd-"),
        ("mine.pkl", "a pickle: to load it would run code that is in it", "whyspec.explain"),
        ("mine.npz", "arrays of NumPy", "whyspec.explain"),
        ("mine.txt", "a text file", ".csv"),
    ],
)
def test_known_kinds_that_are_not_read_are_named(tmp_path: Path, name: str, kind: str, remedy: str) -> None:
    path = tmp_path / name
    table = fits.BinTableHDU.from_columns([fits.Column("Z", "D", array=np.ones(3))], name="ZCATALOG")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    error = refused(path)
    assert (error.what, error.kind) == ("Files of this kind are not read.", "own-file")
    assert error.got == kind
    assert remedy in error.remedy
    assert "spSpec-*.fit (DR7 and earlier)" in error.allowed


def test_other_fits_files_go_to_specutils_or_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.fits"
    pytest.importorskip("specutils")
    unit = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    given = columns()
    table = QTable({"wavelength": given["wavelength"] * units.Angstrom, "flux": given["flux"] * unit,
                    "uncertainty": 0.5 * np.ones(WAVELENGTH.size) * unit})  # fmt: skip
    table.write(path)
    spectrum = whyspec.read(str(path), redshift=0.1)
    np.testing.assert_allclose(spectrum.wavelength, WAVELENGTH)
    np.testing.assert_allclose(spectrum.ivar, 4.0)
    fits.PrimaryHDU(np.zeros((2, 3))).writeto(tmp_path / "picture.fits")
    assert "Neither a survey's reader nor specutils" in str(refused(tmp_path / "picture.fits"))


def test_without_specutils_the_remedy_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.spectrum.own_files.specutils_file", lambda *_: None)
    fits.PrimaryHDU(np.zeros((2, 3))).writeto(tmp_path / "picture.fits")
    error = refused(tmp_path / "picture.fits")
    assert error.what == "The file is not of a kind that is known here."
    assert "pip install 'whyspec[specutils]'" in error.remedy


def test_what_is_not_there_or_a_directory_is_told_as_before(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.csv").kind == "missing-path"
    with pytest.raises((InputError, ConfigurationError)):
        chosen(tmp_path)


def test_the_command_explains_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.DataFrame(columns()).to_csv(tmp_path / "mine.csv", index=False)
    save_model(random_model(), tmp_path / "model")
    status = run_command(
        ["explain", str(tmp_path / "mine.csv"), "--redshift", "0.1", "--class", "galaxy", "--windows", "512",
         "--baselines", "1", "--json", "--model", str(tmp_path / "model")]
    )  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert status == 0
    assert (told["redshift"], told["spectype"], told["model"]) == (0.1, "GALAXY", "tiny")
    assert told["key"] == "mine.csv#0"
    spectrum = whyspec.read(str(tmp_path / "mine.csv"), redshift=0.1, spectral_class="galaxy")
    explanation = whyspec.load_model(str(tmp_path / "model")).explain(spectrum, windows=(512,), baselines=1)
    assert explanation.score == told["score"]  # Python and the command give one number
    assert json.loads(json.dumps(explanation.to_dict())) == told
    assert "resampled to the desi grid" in told["warnings"][0]
