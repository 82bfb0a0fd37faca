"""Plates and fields of a simulated release, against the published layout."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.simulation.release import SimulatedRelease, SimulationSettings, read_truth, simulate_release

# The columns of DR17's spPlate HDU 5, in order, as published.
PLUGMAP = """
OBJID HOLETYPE RA DEC MAG STARL EXPL DEVAUCL OBJTYPE XFOCAL YFOCAL SPECTROGRAPHID FIBERID THROUGHPUT
PRIMTARGET SECTARGET OFFSETID SCI_EXPTIME SOURCETYPE LAMBDA_EFF ZOFFSET BLUEFIBER BOSS_TARGET1 BOSS_TARGET2
ANCILLARY_TARGET1 ANCILLARY_TARGET2 RUN RERUN CAMCOL FIELD ID CALIBFLUX CALIBFLUX_IVAR CALIB_STATUS SFD_EBV
"""
IMAGES = ["IVAR", "ANDMASK", "ORMASK", "WAVEDISP"]


def made(directory: Path, release: str, spectra: int = 12) -> SimulatedRelease:
    settings = SimulationSettings("sdss", spectra, seed=4, release=release, form="plate")  # type: ignore[arg-type]
    return simulate_release(settings, directory)


@pytest.mark.parametrize(
    ("release", "spectra", "redshifts"),
    [
        ("legacy", "26/0266/spPlate-0266-51602.fits", "26/0266/spZbest-0266-51602.fits"),
        (
            "boss",
            "v5_13_2/3586/spPlate-3586-55181.fits",
            "v5_13_2/3586/v5_13_2/spZbest-3586-55181.fits",
        ),
        (
            "sdssv",
            "v6_1_3/112360/spField-112360-60000.fits",
            "v6_1_3/112360/v6_1_3/spZbest-112360-60000.fits",
        ),
    ],
)
def test_a_plate_is_as_sdss_publishes_it(tmp_path: Path, release: str, spectra: str, redshifts: str) -> None:
    result = made(tmp_path / "out", release)
    assert (result.spectra, result.files) == (12, 1)
    field = release == "sdssv"
    with fits.open(tmp_path / "out" / spectra, checksum=True) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus[1:]] == [*IMAGES, "PLUGMAP", "SKY", *["SPECRESL"] * field]
        assert {hdu.data.shape for hdu in hdus if hdu.is_image} == {hdus[0].data.shape}
        assert len(hdus["PLUGMAP"].data) == len(hdus[0].data) == 12
        header = hdus[0].header
        assert (header["COEFF1"], header["CTYPE1"], header["DC-FLAG"]) == (1e-4, "LINEAR", 1)
        assert header["CRVAL1"] == header["COEFF0"]
        if field:
            assert (header["FIELDID"], header["PLATEID"]) == ("112360", "")
            assert list(hdus["PLUGMAP"].data["TARGET_INDEX"]) == list(range(1, 13))
        else:
            assert hdus["PLUGMAP"].columns.names == PLUGMAP.split()
            assert list(hdus["PLUGMAP"].data["FIBERID"]) == list(range(1, 13))
        # Spectra begin and end at different pixels: outside there is no data.
        outside = hdus["ANDMASK"].data == 1 << 24
        assert outside[:, [0, -1]].any()
        assert not hdus["IVAR"].data[outside].any()
    with fits.open(tmp_path / "out" / redshifts, checksum=True) as hdus:
        hdus.verify("exception")
        table = hdus[1]
        assert hdus[1].name == ""
        assert (len(table.columns), len(table.data)) == (76 if field else 69, 12)
        truth = read_truth(tmp_path / "out" / "truth.ecsv")
        targets = truth["row_kind"] == "target"
        np.testing.assert_allclose(table.data["Z"][targets], truth["redshift"][targets], atol=5e-3)
        assert set(truth["file"]) == {spectra}


def test_plates_fill_up_one_after_the_other_and_are_removed_by_the_next(tmp_path: Path) -> None:
    result = made(tmp_path / "out", "sdssv", spectra=505)
    assert (result.spectra, result.files) == (505, 2)
    truth = read_truth(result.truth)
    assert list(truth["row"][-6:]) == [499, 0, 1, 2, 3, 4]
    assert len(set(truth["target_id"])) == 505
    made(tmp_path / "out", "legacy")
    assert sorted(path.name for path in (tmp_path / "out").rglob("sp*.fits")) == [
        "spPlate-0266-51602.fits",
        "spZbest-0266-51602.fits",
    ]
