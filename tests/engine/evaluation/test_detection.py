"""Detection: what a scorer can see is found as well as it can be, what it cannot see is not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.evaluation.anomaly_shapes import anomaly_shape
from engine.evaluation.card_metrics import PREFIX, card_metrics
from engine.evaluation.detection import evaluate_detection
from engine.evaluation.detectors import DETECTORS, TAIL, detector_values
from engine.evaluation.figure import detection_figure
from engine.evaluation.held_out_spectra import HeldOutSettings, held_out_spectra
from engine.evaluation.ideal_observer import known_place
from engine.evaluation.injected_spectra import CleanSpectra, prepare_clean_spectra
from engine.evaluation.learnt import Learnt, learn
from engine.evaluation.markdown import detection_markdown
from engine.evaluation.rates import area_under_curve
from engine.evaluation.results import ALL, SCHEMA, DetectionResults, EvaluationSettings
from engine.evaluation.rivals import PCA_SCAN
from engine.evaluation.training_spectra import training_spectra
from engine.simulation.anomalies import AnomalyKind
from engine.simulation.common_grid import joined
from models.scoring.scoring_model import ScoringModel
from models.spectrum_model import ModelOutputs
from tests.conftest import random_model

KINDS = (AnomalyKind.COSMIC_RAYS, AnomalyKind.ARM_STEP)
SETTINGS = EvaluationSettings(24, 5, (4.0, 60.0), tuple(KINDS), "plain", False, False, 0.05, 0.01, 60)
STRONG = replace(SETTINGS, strengths=(60.0,))


class Blind(ScoringModel):
    """Scores by the redshift alone."""

    def outputs(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> ModelOutputs:
        seen = super().outputs(flux, ivar, redshift)
        return replace(seen, score=redshift)


class Spiky(ScoringModel):
    """Scores by the pixel that is furthest above its neighbours."""

    def outputs(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> ModelOutputs:
        seen = super().outputs(flux, ivar, redshift)
        around = torch.nn.functional.avg_pool1d(flux[:, None], 31, 1, 15)[:, 0]
        return replace(seen, score=((flux - around) * ivar.sqrt()).amax(dim=1))


def of_kind(model: type[ScoringModel]) -> ScoringModel:
    tiny = random_model()
    made = model(tiny.card, tiny.calibration_size)
    made.load_state_dict(tiny.state_dict())
    return made.requires_grad_(False).eval()


HELD_OUT = HeldOutSettings(spectra=24, seed=5, population="plain")


@pytest.fixture(scope="module")
def crowd() -> CleanSpectra:
    return prepare_clean_spectra(random_model().card, HELD_OUT, KINDS)


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    return learn(training_spectra(random_model().card, HELD_OUT, SETTINGS.rivals))


@pytest.fixture(scope="module")
def results(crowd: CleanSpectra, learnt: Learnt) -> DetectionResults:
    return evaluate_detection(random_model(), crowd, learnt, SETTINGS)


def test_a_blind_scorer_finds_nothing(crowd: CleanSpectra, learnt: Learnt) -> None:
    found = evaluate_detection(of_kind(Blind), crowd, learnt, STRONG)
    for cell in found.detection:
        blind = cell.by("score")
        assert blind.auc.value == blind.auc.low == blind.auc.high == 0.5
        assert blind.recall.value <= STRONG.false_positives


def test_a_scorer_that_looks_for_spikes_finds_spikes(crowd: CleanSpectra, learnt: Learnt) -> None:
    found = evaluate_detection(of_kind(Spiky), crowd, learnt, STRONG)
    spikes, steps = (found.cell(kind, 60.0) for kind in KINDS)
    assert spikes is not None
    assert steps is not None
    assert spikes.by("score").auc.value > 0.8
    assert steps.by("score").auc.value < 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_one_who_knows_spectrum_shape_and_place_reaches_the_bound(kind: AnomalyKind) -> None:
    card = random_model().card
    without = []
    # Of the plain population the noise is as the survey states it; real pipelines are off by some percent.
    for held_out in held_out_spectra(card, HeldOutSettings(spectra=150, seed=9, population="plain")):
        shape = anomaly_shape(kind, held_out, card.grid, 9)
        assert shape is not None
        truth, ivar = joined(
            held_out.simulated, card.grid, tuple(arm.truth for arm in held_out.simulated.arms)
        )
        noise = (held_out.spectrum.flux - truth).astype(np.float64)
        without.append(float((noise * ivar * shape.change).sum()))
    # Injected at a strength of s, the same filter gives s more.
    clean = np.array(without)
    assert np.std(clean) == pytest.approx(1.0, abs=0.15)
    for strength in (1.0, 3.0):
        bound = known_place(strength, 0.01)
        assert area_under_curve(clean + strength, clean) == pytest.approx(bound.auc, abs=0.04)


def test_every_detector_has_a_rate_for_every_cell(results: DetectionResults) -> None:
    assert [cell.strength for cell in results.detection if cell.snr == ALL] == [4.0, 60.0] * 2
    for cell in results.detection:
        assert tuple(each.detector for each in cell.detectors) == DETECTORS
        assert all(0 <= each.auc.low <= each.auc.value <= each.auc.high <= 1 for each in cell.detectors)
    assert {bound.kind for bound in results.bounds} == set(KINDS)
    for threshold in (0.01, 0.001):
        assert results.clean_share(ALL, threshold).spectra == 24
        assert sum(results.clean_share(snr, threshold).spectra for snr in results.bins) == 24


def test_what_was_not_injected_is_accounted_for(results: DetectionResults) -> None:
    for each in results.injections:
        assert each.injected + each.no_place + each.too_strong + each.unscorable == 24


def test_strong_steps_need_more_flux_than_there_is_in_some(crowd: CleanSpectra, learnt: Learnt) -> None:
    settings = replace(SETTINGS, strengths=(900.0,), kinds=(AnomalyKind.ARM_STEP.value,))
    (count,) = evaluate_detection(random_model(), crowd, learnt, settings).injections
    assert count.too_strong > 0


def test_the_same_seed_gives_the_same_results(
    crowd: CleanSpectra, learnt: Learnt, results: DetectionResults
) -> None:
    # Of a part of the cells: each draws for itself.
    again = evaluate_detection(random_model(), crowd, learnt, replace(STRONG, kinds=(KINDS[1].value,)))
    for snr in (ALL, *results.bins):
        assert again.cell(KINDS[1], 60.0, snr) == results.cell(KINDS[1], 60.0, snr)
    assert again.clean == results.clean


def test_results_are_json_with_their_schema(results: DetectionResults) -> None:
    described = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    assert (described["schema"], described["model"]) == (SCHEMA, results.model)
    assert [each["auc"]["value"] for each in described["detection"][0]["detectors"]] == [
        each.auc.value for each in results.detection[0].detectors
    ]


def test_the_card_gets_the_rates_of_the_tail_probability(results: DetectionResults) -> None:
    metrics = card_metrics(results)
    cell = results.cell(KINDS[0], 60.0)
    assert cell is not None
    assert metrics[f"{PREFIX}auc_cosmic_rays_60"] == cell.by(TAIL).auc.value
    assert metrics[f"{PREFIX}recall_mean_4"] == pytest.approx(
        (metrics[f"{PREFIX}recall_cosmic_rays_4"] + metrics[f"{PREFIX}recall_arm_step_4"]) / 2
    )
    assert all(name.startswith(PREFIX) for name in metrics)
    json.dumps(metrics, allow_nan=False)


def test_means_leave_out_kinds_that_are_held_out(results: DetectionResults) -> None:
    areas = [results.cell(kind, 60.0) for kind in KINDS]
    mean = np.mean([cell.by(PCA_SCAN).auc.value for cell in areas if cell is not None])
    assert results.mean_rate(60.0, PCA_SCAN, "auc") == pytest.approx(mean)
    foreign = tuple(
        replace(cell, kind=AnomalyKind.FRINGES.value) if cell.kind == KINDS[0] else cell
        for cell in results.detection
    )
    kinds = (AnomalyKind.FRINGES.value, KINDS[1].value)
    changed = replace(results, detection=foreign, settings=replace(results.settings, kinds=kinds))
    only = results.cell(KINDS[1], 60.0)
    assert only is not None
    assert changed.mean_rate(60.0, PCA_SCAN, "auc") == pytest.approx(only.by(PCA_SCAN).auc.value)
    assert f"| *mean* | {changed.mean_rate(60.0, TAIL, 'recall'):.3f} |" in detection_markdown(changed)


def test_the_figure_has_a_panel_for_each_kind(results: DetectionResults) -> None:
    figure = detection_figure(results)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == [kind.value.replace("_", " ") for kind in KINDS]


def test_values_do_not_depend_on_the_batch(crowd: CleanSpectra, learnt: Learnt) -> None:
    model, injected = random_model(), crowd.inject(AnomalyKind.COSMIC_RAYS, 30.0)
    whole = detector_values(model, learnt.rivals, injected.flux, injected.ivar, injected.redshift)
    some = detector_values(
        model, learnt.rivals, injected.flux[3:5], injected.ivar[3:5], injected.redshift[3:5]
    )
    assert some.table() == pytest.approx(whole.table()[3:5], rel=1e-4)
    nothing = detector_values(
        model, learnt.rivals, injected.flux[:0], injected.ivar[:0], injected.redshift[:0]
    )
    assert nothing.table().shape == (0, len(DETECTORS))
