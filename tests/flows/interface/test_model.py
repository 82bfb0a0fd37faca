"""Models in Python: spectra of any form score as a run scores them, and are explained as the command does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from astropy import units
from astropy.table import QTable

import whyspec
from engine.spectra.normalisation import normalise
from engine.spectra.resampling import on_grid
from engine.spectra.scorer import Scorer
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from flows.interface import model as interface_model
from flows.spectrum.own_grid import grid_for
from tests.conftest import random_model

WAVELENGTH = DESI_GRID.wavelength()
QUICK: dict[str, Any] = {"windows": (64, 512), "baselines": 2}


@pytest.fixture(scope="module")
def model() -> whyspec.Model:
    return whyspec.Model(random_model())


@pytest.fixture(scope="module")
def spectrum() -> whyspec.Spectrum:
    generator = np.random.default_rng(2)
    ivar = np.full(DESI_GRID.size, 4.0)
    ivar[1000:1010] = 0
    bump = 3 * np.exp(-0.5 * np.square((WAVELENGTH - 6200) / 20))
    flux = 5 + bump + 0.5 * generator.normal(size=DESI_GRID.size)
    return whyspec.Spectrum(WAVELENGTH, flux, ivar, 0.2)


def table_of(spectrum: whyspec.Spectrum) -> dict[str, Any]:
    return {"wavelength": spectrum.wavelength, "flux": spectrum.flux, "ivar": spectrum.ivar}


FORMS: dict[str, Callable[[whyspec.Spectrum], tuple[Any, ...]]] = {
    "arrays": lambda each: (each.wavelength, each.flux, each.ivar),
    "lists": lambda each: (each.wavelength.tolist(), each.flux.tolist(), each.ivar.tolist()),
    "one of ours": lambda each: (each,),
    "pandas": lambda each: (pd.DataFrame(table_of(each)),),
    "a mapping": lambda each: ({"LogLam": np.log10(each.wavelength), "FLUX": each.flux, "ivar": each.ivar},),
    "astropy": lambda each: (
        QTable(
            {
                "wavelength": each.wavelength / 10 * units.nm,
                "flux": each.flux * 1e-17 * units.Unit("erg / (s cm2 Angstrom)"),
                "ivar": each.ivar * 1e34 * units.Unit("s2 cm4 Angstrom2 / erg2"),
            }
        ),
    ),
    "quantities": lambda each: (
        each.wavelength * 1e-4 * units.micron,
        each.flux * units.Unit("1e-17 erg / (s cm2 Angstrom)"),
        each.ivar / units.Unit("1e-17 erg / (s cm2 Angstrom)") ** 2,
    ),
}


@pytest.fixture(scope="module")
def expected(model: whyspec.Model, spectrum: whyspec.Spectrum) -> float:
    """The score as a run computes it."""
    normalised = normalise(on_grid(spectrum, DESI_GRID), model.card, ())
    return float(Scorer(model._network).score(normalised, np.array([0])).score[0])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_scores_as_a_run_scores_it(
    model: whyspec.Model, spectrum: whyspec.Spectrum, expected: float, form: str
) -> None:
    frame = model.score(*FORMS[form](spectrum), redshift=0.2)
    assert frame["score"][0] == pytest.approx(expected, rel=1e-5)
    assert frame["status"].tolist() == ["scored"]
    assert 0 < frame["tail_probability"][0] <= 1


def test_specutils_scores_as_a_run_scores_it(
    model: whyspec.Model, spectrum: whyspec.Spectrum, expected: float
) -> None:
    pytest.importorskip("specutils")
    given = spectrum.to_specutils()
    assert model.score(given)["score"][0] == pytest.approx(expected, rel=1e-5)  # its own redshift counts
    without = type(given)(flux=given.flux, spectral_axis=given.spectral_axis)
    with pytest.raises(whyspec.WhyspecError, match="no uncertainty"):
        model.score(without, redshift=0.2)


def test_many_at_once_and_none_is_dropped(
    model: whyspec.Model, spectrum: whyspec.Spectrum, monkeypatch: pytest.MonkeyPatch
) -> None:
    flux, ivar = np.stack([spectrum.flux] * 4), np.stack([spectrum.ivar] * 4)
    ivar[2] = 0
    statuses = ["scored", "redshift_out_of_range", "no_good_pixels", "scored"]
    monkeypatch.setattr(interface_model, "_BATCH", 1)
    frame = model.score(WAVELENGTH, flux, ivar, [0.2, 3.0, 0.2, 0.25])
    assert frame["status"].tolist() == statuses
    unknown = model.score(WAVELENGTH, flux[:2], ivar[:2], [0.2, np.nan])
    assert unknown["status"].tolist() == ["scored", "no_redshift"]
    assert frame["score"].isna().tolist() == [False, True, True, False]
    assert frame["key"].tolist() == [f"spectrum {number}" for number in range(4)]
    alone = model.score(spectrum)
    pd.testing.assert_series_equal(frame["score"][:1], alone["score"], rtol=1e-5)
    several = model.score([spectrum, FORMS["pandas"](spectrum)[0]], redshift=[0.2, 0.25])
    np.testing.assert_allclose(several["score"], frame["score"][[0, 3]], rtol=1e-5)


def test_other_pixels_are_resampled(
    model: whyspec.Model, spectrum: whyspec.Spectrum, expected: float
) -> None:
    fine = np.arange(3599.8, 9824.4, 0.4)  # two pixels in each of the grid's
    index = np.clip(np.rint((fine - 3600.0) / 0.8).astype(int), 0, DESI_GRID.size - 1)
    frame = model.score(fine, spectrum.flux[index], spectrum.ivar[index] / 2, 0.2)
    assert frame["good_fraction"][0] > 0.99
    assert frame["score"][0] == pytest.approx(expected, abs=3)


def test_air_is_converted(model: whyspec.Model, spectrum: whyspec.Spectrum) -> None:
    given = table_of(spectrum)
    vacuum, air = (
        model.score(given, redshift=0.2, medium=medium)["score"][0] for medium in ("vacuum", "air")
    )
    assert vacuum != air
    with pytest.raises(whyspec.WhyspecError, match="in vacuum or in air"):
        model.score(given, redshift=0.2, medium="water")


def test_too_little_coverage_is_told_in_numbers(model: whyspec.Model, spectrum: whyspec.Spectrum) -> None:
    with pytest.raises(whyspec.WhyspecError) as caught:
        model.score(WAVELENGTH[:1000], spectrum.flux[:1000], spectrum.ivar[:1000], 0.2)
    assert caught.value.kind == "not-scorable"
    assert "13% of the pixels good" in caught.value.got
    assert "at least 30% good pixels of 3600 to 9824 Angstrom" in caught.value.allowed
    assert "20 of them and positive flux at 6360 to 7020 Angstrom" in caught.value.allowed


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((3,), "What was given is no spectrum.*int"),
        ((WAVELENGTH, WAVELENGTH), "flux or inverse variance alone"),
        (({"wavelength": [1.0], "ivar": [1.0]},), "lacks a column.*got: wavelength, ivar.*flux, flam"),
        ((WAVELENGTH, np.ones((2, 3)), np.ones((3, 2)), 0.1), "shape \\(2, 3\\)"),
        ((WAVELENGTH, WAVELENGTH, WAVELENGTH, [0.1, 0.2]), "\\[0.1, 0.2\\] for 1 spectra"),
        ((WAVELENGTH, WAVELENGTH, WAVELENGTH), "no redshift.*redshift=Z in Python"),
    ],
)
def test_what_is_no_spectrum_is_refused(model: whyspec.Model, given: tuple[Any, ...], words: str) -> None:
    with pytest.raises(whyspec.WhyspecError, match=r"(?s)" + words):
        model.score(*given)


def test_it_is_explained(model: whyspec.Model, spectrum: whyspec.Spectrum, expected: float) -> None:
    explanation = model.explain(spectrum, **QUICK)
    assert explanation.score == pytest.approx(expected, rel=1e-5)
    assert explanation.maps.shape == (2, DESI_GRID.size)
    assert explanation.spectral_class == "GALAXY"  # the model's
    assert explanation.warnings == ()
    np.testing.assert_allclose(explanation.spectrum.flux, spectrum.flux, rtol=1e-5)
    np.testing.assert_allclose(explanation.spectrum.ivar, spectrum.ivar, rtol=1e-5)
    several = model.explain_each([spectrum, spectrum], redshift=[0.2, 0.25], **QUICK)
    np.testing.assert_array_equal(several[0].combined, explanation.combined)
    assert several[1].redshift == 0.25
    with pytest.raises(whyspec.WhyspecError, match=r"(?s)One spectrum is wanted.*explain_each"):
        model.explain([spectrum, spectrum], **QUICK)


def test_methods_are_chosen_by_name(model: whyspec.Model, spectrum: whyspec.Spectrum) -> None:
    explanation = model.explain(spectrum, method="residual")
    assert explanation.combined.any()
    with pytest.raises(whyspec.WhyspecError, match=r"(?s)no method of attribution.*occlusion"):
        model.explain(spectrum, method="guess")
    with pytest.raises(whyspec.WhyspecError, match=r"(?s)does not know.*got: colour"):
        model.explain(spectrum, colour="red")


def test_resampling_is_told(model: whyspec.Model, spectrum: whyspec.Spectrum) -> None:
    explanation = model.explain(WAVELENGTH + 0.3, spectrum.flux, spectrum.ivar, 0.2, **QUICK)
    assert any("resampled to the desi grid" in each for each in explanation.warnings)
    assert "resampled" in explanation._repr_html_()


def test_the_module_is_the_score_and_has_its_gradient(
    model: whyspec.Model, spectrum: whyspec.Spectrum, expected: float
) -> None:
    module = model.module(spectrum)
    assert module.flux.shape == (1, DESI_GRID.size)
    np.testing.assert_array_equal(module.wavelength, WAVELENGTH)
    point = module.flux.clone().requires_grad_()
    score = module(point)
    assert score.item() == pytest.approx(expected, rel=1e-4)
    (gradient,) = torch.autograd.grad(score.sum(), point)
    masked = spectrum.ivar == 0
    assert not gradient[0, masked].any()
    pixel, step = 3250, 1e-5
    moved = module.flux.numpy().repeat(2, axis=0)
    moved[0, pixel] -= step
    moved[1, pixel] += step
    low, high = module.scores(moved)
    assert (high - low) / (2 * step) == pytest.approx(float(gradient[0, pixel]), rel=1e-4, abs=1e-8)


def test_captum_takes_the_module(model: whyspec.Model, spectrum: whyspec.Spectrum) -> None:
    attr = pytest.importorskip("captum.attr")
    module = model.module(spectrum)
    found = attr.IntegratedGradients(module).attribute(module.flux, n_steps=4)
    assert found.shape == module.flux.shape


def test_models_are_chosen_by_class_redshift_and_pixels(
    spectrum: whyspec.Spectrum, model: whyspec.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interface_model, "shipped_networks", lambda _grid: (model._network,))
    monkeypatch.setattr("flows.interface.explaining.shipped_networks", lambda _grid: (model._network,))
    explanation = whyspec.explain(spectrum, **QUICK)
    assert explanation.warnings == ("No class was given: the spectrum is taken for a GALAXY.",)
    quasar = whyspec.explain(spectrum, spectral_class="qso", **QUICK)
    assert quasar.spectral_class == "QSO"
    assert "is for GALAXY, and the class of this spectrum is QSO" in quasar.warnings[0]
    of_sdss = whyspec.Spectrum(SDSS_GRID.wavelength()[50:3000], np.ones(2950), np.ones(2950), 0.1)
    assert grid_for(of_sdss) == SDSS_GRID
    assert grid_for(spectrum) == DESI_GRID
    assert grid_for(whyspec.Spectrum(WAVELENGTH + 0.3, spectrum.flux, spectrum.ivar)) == DESI_GRID


def test_shipped_models_are_listed_and_loaded() -> None:
    listed = whyspec.models()
    assert {"desi-galaxy", "sdss-galaxy"} <= set(listed.index)
    assert listed.loc["desi-galaxy", "classes"] == "GALAXY"
    loaded = whyspec.load_model("desi-star")
    assert loaded.name == "desi-star"
    assert "STAR" in repr(loaded)
    assert "<table>" in loaded._repr_html_()
    with pytest.raises(whyspec.WhyspecError, match=r"(?s)no model of that name.*desi-galaxy"):
        whyspec.load_model("none")
