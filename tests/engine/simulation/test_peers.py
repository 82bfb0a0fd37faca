"""Simulated DESI files as desispec and redrock read them (the extra ``peers``): a warning is an error."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from engine.simulation.release import SimulatedRelease, SimulationSettings, read_truth, simulate_release

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what they import warns
    desispec_io = pytest.importorskip("desispec.io", reason="the extra 'peers' is not installed")
    redrock_desi = pytest.importorskip("redrock.external.desi", reason="the extra 'peers' is not installed")
    redrock_templates = pytest.importorskip("redrock.templates", reason="the extra 'peers' is not installed")


@pytest.fixture(scope="module", params=["dr1", "edr"])
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    settings = SimulationSettings(
        "desi", 16, 0.0, seed=4, release=request.param, quasar_fraction=0.2, star_fraction=0.2
    )
    return simulate_release(settings, tmp_path_factory.mktemp("peers") / "release")


def files_of(release: SimulatedRelease) -> tuple[Path, Path]:
    (coadd,), (redrock,) = (sorted(release.path.rglob(f"{kind}-*.fits")) for kind in ("coadd", "redrock"))
    return coadd, redrock


def test_desispec_and_redrock_read_a_coadd(release: SimulatedRelease) -> None:
    coadd, redrock = files_of(release)
    spectra = desispec_io.read_spectra(str(coadd))
    assert (spectra.num_spectra(), spectra.bands) == (16, ["b", "r", "z"])
    assert spectra.resolution_data["z"].shape == (16, 11, 2881)
    targets = redrock_desi.DistTargetsDESI([str(coadd)])
    assert len(targets.all_target_ids) == 16
    for path, names in (
        (coadd, ("FIBERMAP", "EXP_FIBERMAP", "SCORES")),
        (redrock, ("REDSHIFTS", "FIBERMAP", "EXP_FIBERMAP", "TSNR2")),
    ):
        assert all(len(Table.read(path, name)) > 0 for name in names)


def test_redrock_draws_the_spectra_from_the_coefficients(release: SimulatedRelease) -> None:
    coadd, redrock = files_of(release)
    templates = redrock_templates.load_templates_from_header(
        fits.getheader(redrock), template_dir=str(release.path / "redrock-templates"), asdict=True
    )
    assert [*templates] == [("GALAXY", ""), ("QSO", ""), ("STAR", "G")]
    spectra, fitted = desispec_io.read_spectra(str(coadd)), Table.read(redrock, "REDSHIFTS")
    for name in ("SPECTYPE", "SUBTYPE"):
        fitted[name] = np.char.strip(np.asarray(fitted[name]).astype(str))
    fitted = fitted[np.argsort(fitted["TARGETID"])]
    order = np.argsort(spectra.fibermap["TARGETID"])
    targets = set(read_truth(release.truth)["target_id"][read_truth(release.truth)["row_kind"] == "target"])
    matrices = {band: spectra.R[band][order] for band in spectra.bands}
    models = redrock_templates.eval_model(fitted, spectra.wave, R=matrices, templates=templates)
    for number, row in enumerate(fitted):
        chi2 = sum(
            np.sum(
                spectra.ivar[band][order[number]]
                * (spectra.flux[band][order[number]] - models[band][number]) ** 2
            )
            for band in spectra.bands
        )
        if row["TARGETID"] in targets:
            assert chi2 == pytest.approx(row["CHI2"], rel=0.02)
            assert chi2 / row["NPIXELS"] == pytest.approx(1.0, abs=0.5)
