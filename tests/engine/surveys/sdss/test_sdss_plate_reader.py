"""Plates and fields: the same spectra as in spec files, read by rows; faults put in on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from engine.simulation.release import SimulationSettings, read_truth, simulate_release
from engine.simulation.settings import ReleaseName
from engine.spectra.source_file import SourceFile
from engine.spectra.spectra import Spectra
from engine.surveys.reading import inspect, open_spectra, read_spectra, verify
from engine.surveys.sdss.conventions import identifier, spec_obj_id
from models.errors import QuarantineError
from models.row_status import RowStatus
from tests.servers.http_ranges import RangeServer

COUNT = 40
RELEASES: tuple[ReleaseName, ...] = ("legacy", "boss", "sdssv")


@pytest.fixture(scope="module", params=RELEASES)
def twins(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same spectra as spec files and as a plate or field."""
    directory = tmp_path_factory.mktemp(request.param)
    for form in ("spec", "plate"):
        settings = SimulationSettings(
            "sdss", COUNT, seed=5, release=request.param, form=form, sky_fraction=0.1, broken_fraction=0.1
        )
        simulate_release(settings, directory / form)
    return directory / "spec", directory / "plate"


@pytest.fixture
def plate(tmp_path: Path) -> tuple[Path, Path]:
    simulate_release(SimulationSettings("sdss", 12, seed=6, release="boss", form="plate"), tmp_path / "boss")
    return files_of(tmp_path / "boss")


def files_of(release: Path) -> tuple[Path, Path]:
    (spectra,) = [*release.rglob("spPlate-*.fits"), *release.rglob("spField-*.fits")]
    (redshifts,) = release.rglob("spZbest-*.fits")
    return spectra, redshifts


def inspected(paths: tuple[Path, Path]) -> SourceFile:
    return inspect(*map(str, paths))


MASKED = ("masked_pixels", "masked_by")


def bits(spectra: Spectra) -> list[str]:
    return [each.partition("=")[0] for each in spectra.rows["masked_by"][0].split()]


def assert_same(one: Spectra, other: Spectra, without: tuple[str, ...] = ()) -> None:
    assert one.flux.tobytes() == other.flux.tobytes()
    assert one.ivar.tobytes() == other.ivar.tobytes()
    for name in one.rows.data.dtype.names or ():
        if name not in without:
            np.testing.assert_array_equal(one.rows[name], other.rows[name], err_msg=name)


def test_a_row_equals_the_spec_file_of_that_spectrum(twins: tuple[Path, Path]) -> None:
    specs, whole = twins
    file = inspected(files_of(whole))
    assert (file.reader, file.spectra) == ("sdss-plate", COUNT)
    spectra = read_spectra(file)
    truth = read_truth(specs / "truth.ecsv")
    assert len(set(spectra.rows.keys())) == COUNT
    known = {RowStatus.SCORED, RowStatus.SKY_FIBRE, RowStatus.BAD_FIBRE, RowStatus.NO_GOOD_PIXELS}
    assert set(spectra.rows["status"]) == known
    for row in range(COUNT):
        alone = read_spectra(inspect(str(specs / truth["file"][row])))
        same = spectra.take(slice(row, row + 1))
        assert_same(same, alone, without=("source_row", "spectrograph", "target_class", *MASKED))
        # Plates reach farther than the spectrum does, and their mask says so there.
        assert same.rows["masked_pixels"][0] >= alone.rows["masked_pixels"][0] >= 0
        assert set(bits(alone)) <= set(bits(same))
        # Later spec files do not say these two of every spectrum.
        assert alone.rows["spectrograph"][0] in (-1, same.rows["spectrograph"][0])
        assert same.rows["target_class"][0] in ("", "GALAXY", "SKY")
        assert alone.rows["target_class"][0] in ("", same.rows["target_class"][0])
    assert set(spectra.rows["spectrograph"].tolist()) <= {1, 2}
    assert list(read_truth(whole / "truth.ecsv")["row"]) == spectra.rows["source_row"].tolist()


def test_any_rows_are_those_of_the_whole_and_the_sums_hold(twins: tuple[Path, Path]) -> None:
    file = inspected(files_of(twins[1]))
    whole = read_spectra(file)
    with open_spectra(file) as spectra:
        for start, stop in ((0, 1), (7, 40), (39, 40), (5, 5), (3, 20)):
            assert_same(spectra.read(start, stop), whole.take(slice(start, stop)))
    verify(file)


def test_a_plate_over_the_network_is_three_images_of_seven(twins: tuple[Path, Path]) -> None:
    paths = files_of(twins[1])
    with RangeServer(twins[1]) as server:
        urls = [f"{server.url}/{path.relative_to(twins[1]).as_posix()}" for path in paths]
        remote = inspect(*urls)
        assert remote.fingerprint == inspected(paths).fingerprint
        server.forget()
        assert_same(read_spectra(remote), read_spectra(inspected(paths)))
        size = paths[0].stat().st_size
        assert server.sent("*spPlate*") + server.sent("*spField*") < 0.75 * size
        assert len(server.requests("*spPlate*")) + len(server.requests("*spField*")) <= 7


def test_redshifts_are_joined_by_name_not_by_row(twins: tuple[Path, Path], tmp_path: Path) -> None:
    spectra, redshifts = files_of(twins[1])
    whole = read_spectra(inspected((spectra, redshifts)))
    turned = tmp_path / redshifts.name
    with fits.open(redshifts) as hdus:
        hdus[1].data = hdus[1].data[np.random.default_rng(1).permutation(COUNT)[:30]]
        hdus[:2].writeto(turned, checksum=True)
    part = read_spectra(inspect(str(spectra), str(turned)))
    kept = np.isfinite(part.rows["redshift"])
    assert kept.sum() == 30
    assert_same(part.take(kept), whole.take(kept))
    lost = part.rows["status"][~kept]
    assert set(lost) <= {RowStatus.NO_REDSHIFT, RowStatus.SKY_FIBRE}
    assert part.rows.keys() == whole.rows.keys()


def test_a_plate_without_its_redshifts_is_refused(twins: tuple[Path, Path]) -> None:
    spectra, redshifts = files_of(twins[1])
    with pytest.raises(QuarantineError, match="The spectra have no redshifts") as caught:
        inspect(str(spectra))
    assert caught.value.kind == "missing-redshifts"
    assert redshifts.name in caught.value.allowed


def as_idl_writes(path: Path, into: Path, **cards: object) -> Path:
    """A copy without checksums and, of the images, without names."""
    with fits.open(path) as hdus:
        for hdu in hdus:
            for keyword in ("CHECKSUM", "DATASUM", "EXTNAME"):
                hdu.header.remove(keyword, ignore_missing=True)
        for keyword, value in cards.items():
            hdus[0].header[keyword] = value
        hdus.writeto(into / path.name)
    return into / path.name


def test_files_without_names_and_sums_read_the_same(plate: tuple[Path, Path], tmp_path: Path) -> None:
    bare = as_idl_writes(plate[0], tmp_path), as_idl_writes(plate[1], tmp_path)
    file = inspected(bare)
    assert_same(read_spectra(file), read_spectra(inspected(plate)))
    verify(file)
    # Coadded again: the header says so.
    again = tmp_path / "again"
    again.mkdir()
    other = as_idl_writes(plate[0], again, SPCOADD="Wed Apr  3 03:59:24 2024")
    assert inspect(str(other), str(bare[1])).fingerprint != file.fingerprint
    with fits.open(bare[1], mode="update") as hdus:
        hdus[1].data["Z"][3] += 0.5
    assert inspected(bare).fingerprint != file.fingerprint


def damaged(plate: tuple[Path, Path], change: str) -> Iterator[QuarantineError]:
    with fits.open(plate[0]) as hdus:
        if change == "short":
            hdus["IVAR"].data = hdus["IVAR"].data[:-1]
        elif change == "plugmap":
            hdus["PLUGMAP"].data = hdus["PLUGMAP"].data[:-2]
        elif change == "fibre":
            table = Table(hdus["PLUGMAP"].data)
            table["FIBERID"] = table["FIBERID"].astype(float)
            hdus["PLUGMAP"] = fits.BinTableHDU(table, name="PLUGMAP")
        elif change == "grid":
            hdus[0].header["COEFF1"] = 2e-4
        hdus.writeto(plate[0], overwrite=True, checksum=True)
    with pytest.raises(QuarantineError) as caught:
        inspected(plate)
    yield caught.value


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ("short", "row-mismatch", "allowed: 12 x "),
        ("plugmap", "row-mismatch", "got: 10\n  allowed: 12"),
        ("fibre", "not-integers", "The column FIBERID does not hold integers."),
        ("grid", "wrong-grid", "steps of 0.0001 in log10 wavelength"),
    ],
)
def test_plates_that_do_not_fit_together_are_quarantined(
    plate: tuple[Path, Path], change: str, kind: str, text: str
) -> None:
    (error,) = damaged(plate, change)
    assert error.kind == kind
    assert text in str(error)


def test_the_redshifts_of_another_plate_are_not_taken(plate: tuple[Path, Path]) -> None:
    with fits.open(plate[1], mode="update") as hdus:
        hdus[1].data["MJD"][:5] += 1
    rows = read_spectra(inspected(plate)).rows
    other = np.isin(rows["fiber"], fits.getdata(plate[1])["FIBERID"][:5])
    assert np.isnan(rows["redshift"]).tolist() == other.tolist()
    with fits.open(plate[1], mode="update") as hdus:
        hdus[1].data["PLATE"] += 1
    with pytest.raises(QuarantineError) as caught:
        read_spectra(inspected(plate))
    assert caught.value.kind == "row-mismatch"


def test_of_two_redshifts_of_a_fibre_none_is_taken(plate: tuple[Path, Path]) -> None:
    with fits.open(plate[1]) as hdus:
        table = hdus[1].data
        twice, different = int(table["FIBERID"][0]), table[[0]].copy()
        different["Z"] += 1
        hdus[1].data = np.concatenate([table, table[[1]], different]).view(type(table))
        hdus.writeto(plate[1], overwrite=True, checksum=True)
    rows = read_spectra(inspected(plate)).rows
    assert np.isnan(rows["redshift"]).tolist() == (rows["fiber"] == twice).tolist()


@pytest.mark.parametrize(("keyword", "value"), [("MJD", "abc"), ("MJD", 0), ("PLATEID", -1)])
def test_a_plate_that_says_no_number_is_quarantined(
    plate: tuple[Path, Path], keyword: str, value: object
) -> None:
    with fits.open(plate[0], mode="update") as hdus:
        hdus[0].header[keyword] = value
    with pytest.raises(QuarantineError, match=f"{keyword} is {value}"):
        read_spectra(inspected(plate))


@pytest.mark.parametrize(
    ("text", "number"), [(" 299 ", 299), ("", -1), ("-1", -1), (str((1 << 64) - 2), -2), (np.int64(-5), -1)]
)
def test_an_identifier_is_digits(text: object, number: int) -> None:
    assert identifier(text) == number


@pytest.mark.parametrize("text", ["2_9_9", "-5", "3.0e17", "9" * 23, "0x10"])
def test_what_is_no_identifier_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        identifier(text)


def test_a_flipped_byte_and_a_cut_are_found(plate: tuple[Path, Path]) -> None:
    file = inspected(plate)
    data = bytearray(plate[0].read_bytes())
    data[200_000] ^= 1
    plate[0].write_bytes(data)
    with pytest.raises(QuarantineError) as caught:
        verify(file)
    assert caught.value.kind == "checksum-mismatch"
    plate[0].write_bytes(data[: len(data) // 2])
    with pytest.raises(QuarantineError) as caught:
        read_spectra(file)
    assert caught.value.kind == "truncated-file"


def test_specobjid_follows_from_plate_date_fibre_and_run(real_data: Path) -> None:
    seen = set()
    for path in sorted((real_data / "real" / "sdss").glob("spec-*.fits")):
        row = read_spectra(inspect(str(path))).rows.data[0]
        run2d = str(row["specprod"])
        made = spec_obj_id(int(row["plate"]), int(row["mjd"]), int(row["fiber"]), run2d)
        assert made == int(row["target_id"]) % 2**64
        seen.add(run2d)
    assert {"26", "104", "v5_13_0"} & seen
