"""Injected spectra explained by every method: what is found, counted, and survives JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from engine.attribution.cautions import Caution
from engine.attribution.explainer import Explainer
from engine.attribution.occlusion.combine import COMBINATIONS
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.evaluation.explained_injections import NEAREST, ExplanationSettings, evaluate_explanations
from engine.evaluation.explanation_results import ExplanationResults
from engine.evaluation.explanation_summary import by_width, chance, mean, responding, share, summaries
from engine.evaluation.explanation_tables import caution_table, place_width_table
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import prepare_clean_spectra
from engine.simulation.anomalies import AnomalyKind
from engine.spectra.scored_spectra import SelectedSpectra
from tests.conftest import random_model

WINDOWS = (64, 512)
SETTINGS = ExplanationSettings(
    spectra=2,
    strengths=(40.0,),
    threshold=1.0,
    occlusion=OcclusionSettings(windows=WINDOWS, baselines=2),
)


@pytest.fixture(scope="module")
def results() -> ExplanationResults:
    model = random_model()
    kinds = (AnomalyKind.ARM_STEP, AnomalyKind.COSMIC_RAYS)
    clean = prepare_clean_spectra(model.card, HeldOutSettings(spectra=6, seed=3), kinds)
    steps: list[tuple[int, int]] = []
    found = evaluate_explanations(model, clean, SETTINGS, lambda *step: steps.append(step))
    total = len(found.spectra)
    assert steps == [(done, total) for done in range(1, total + 1)]
    return found


def test_every_method_explains_every_spectrum(results: ExplanationResults) -> None:
    assert [each.kind for each in results.spectra] == ["arm_step"] * 2 + ["cosmic_rays"] * 2
    assert {each.row for each in results.spectra} <= set(range(6))
    expected = {
        *COMBINATIONS,
        *(NEAREST + name for name in COMBINATIONS),
        "reference-code",
        "random",
    }
    expected |= {"gradient x input", "|gradient x input|", "integrated gradients", "|integrated gradients|"}
    for family in (
        "window",
        "residual",
        f"{NEAREST}window",
        *(f"occlusion by {e}" for e in ("zero", "mean flux", "mean baseline")),
    ):
        expected |= {f"{family} {width}" for width in WINDOWS}
    for each in results.spectra:
        assert set(each.found) == expected
        assert set(each.window.values()) <= set(WINDOWS)
        assert 0 < each.area <= each.chance <= 1
        # A map that knows nothing puts on the injected pixels what their number is.
        assert each.found["random"].mass == pytest.approx(each.area, abs=0.02)
    assert results.unseen > 0


def test_cautions_and_places_are_those_that_a_run_gives(results: ExplanationResults) -> None:
    model = random_model()
    kinds = (AnomalyKind.ARM_STEP, AnomalyKind.COSMIC_RAYS)
    clean = prepare_clean_spectra(model.card, HeldOutSettings(spectra=6, seed=3), kinds)
    explainer = Explainer(model, SETTINGS.occlusion, memory_bytes=SETTINGS.memory_bytes)
    for each in results.spectra:
        injected = clean.inject(AnomalyKind(each.kind), each.strength, np.array([each.row]))
        first = np.zeros(1, dtype=np.int64)
        selected = SelectedSpectra(
            first, injected.redshift, injected.flux, injected.ivar, first.astype(np.int8)
        )
        explained = explainer.explain(selected)
        assert int(explained.cautions[0]) == each.cautions
        assert explained.place_width[0, 0] == pytest.approx(each.place_width, rel=1e-4, nan_ok=True)
    rows = {row[0]: row[1:] for row in caution_table(results).rows}
    carrying = [each for each in results.spectra if each.cautions & Caution.BASELINES_DISAGREE]
    assert rows["baselines_disagree"][0] == f"{len(carrying) / len(results.spectra):.2f}"
    shares = [float(rows[name][0]) for name in (*(one.label for one in Caution), "none of them")]
    assert sum(shares) >= 1.0


def test_the_results_survive_json_and_follow_their_seed(results: ExplanationResults) -> None:
    described = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    assert described["spectra"]["kind"] == [each.kind for each in results.spectra]
    assert set(described["methods"]) == set(results.methods)
    for name, found in described["methods"].items():
        assert found["auc"] == [pytest.approx(each.found[name].auc, rel=1e-5) for each in results.spectra]
    model = random_model()
    clean = prepare_clean_spectra(model.card, HeldOutSettings(spectra=6, seed=3), (AnomalyKind.ARM_STEP,))
    one = evaluate_explanations(model, clean, replace(SETTINGS, spectra=1))
    assert one.spectra[0] == results.spectra[0]


def test_detected_spectra_are_sought_beyond_the_drawn_ones() -> None:
    model = random_model()
    clean = prepare_clean_spectra(model.card, HeldOutSettings(spectra=8, seed=3), (AnomalyKind.DEAD_REGION,))
    # Which spectra are explained does not depend on the windows: one wide one costs the fewest passes.
    settings = replace(SETTINGS, occlusion=OcclusionSettings(windows=(1024,), baselines=1))
    everything = evaluate_explanations(model, clean, replace(settings, spectra=6)).spectra
    # A threshold that the least odd of the first two does not reach.
    threshold = max(each.tail_probability for each in everything[:2]) * 0.999
    found = evaluate_explanations(model, clean, replace(settings, threshold=threshold))
    detected = [each for each in everything if each.tail_probability <= threshold]
    assert [each.row for each in found.of("dead_region", detected=False)] == [e.row for e in everything[:2]]
    assert [each.row for each in found.of("dead_region", detected=True)] == [e.row for e in detected[:2]]


def test_summaries_choose_the_best_width_and_count_windows(results: ExplanationResults) -> None:
    spectra = results.spectra
    found = {each.method: each for each in summaries(results, spectra)}
    assert {"window", "residual", "inverse-variance", "random", "reference-code"} <= set(found)
    widths = by_width(results, "residual", spectra)
    assert [each.width for each in widths] == list(WINDOWS)
    assert found["residual"].located.value == max(each.located.value for each in widths)
    assert found["random"].width == 0
    assert sum(responding("inverse-variance", spectra).values()) == len(spectra)
    assert 0 < chance(spectra).mass < 1
    assert found["random"].auc.value == pytest.approx(0.5, abs=0.1)


def test_widths_within_a_factor_of_two_are_counted_of_located_places(results: ExplanationResults) -> None:
    widths = ((10.0, 19.0, True), (10.0, 21.0, True), (10.0, 10.0, False), (10.0, 5.1, True))
    ray = next(each for each in results.spectra if each.kind == "cosmic_rays")
    step = replace(next(each for each in results.spectra if each.kind == "arm_step"), place_located=True)
    rays = [replace(ray, width=w, place_width=p, place_located=found) for w, p, found in widths]
    table = place_width_table(replace(results, spectra=(step, *rays)))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["cosmic rays"][0] == rows["all with a width"][0] == "4"
    assert rows["cosmic rays"][1].startswith("0.75 ")
    assert rows["cosmic rays"][4] == rows["all with a width"][4]
    assert rows["cosmic rays"][4].startswith("0.67 ")
    assert rows["arm step"][4] == ""


def test_shares_and_means_carry_their_doubt() -> None:
    nothing, all_, half = share([False] * 20), share([True] * 20), share([True, False] * 50)
    assert (nothing.value, nothing.low) == (0.0, 0.0)
    assert nothing.high == pytest.approx(1 - all_.low)
    assert nothing.high > 0.1
    assert half.low < 0.5 < half.high
    assert np.isnan(share([]).value)
    values = np.random.default_rng(0).normal(3.0, 1.0, 100).tolist()
    found = mean([*values, float("nan")])
    assert found.count == 100
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.1, rel=0.25)
    assert np.isnan(mean([float("nan")]).value)
