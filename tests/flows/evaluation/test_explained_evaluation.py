"""The explanation half of ``whyspec evaluate`` as a user meets it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from engine.attribution.occlusion.combine import COMBINATIONS
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.evaluation import explained_injections
from engine.evaluation.explained_injections import ExplanationSettings
from flows.command_line import run_command
from flows.evaluation.explained_evaluation import FIGURE, RESULTS, TABLES


@pytest.mark.slow
def test_the_command_explains_and_writes_what_it_found(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # At the scales of users it takes half a minute.
    few = partial(ExplanationSettings, occlusion=OcclusionSettings(windows=(64, 512), baselines=2))
    monkeypatch.setattr(explained_injections, "ExplanationSettings", few)
    options = [
        "--spectra",
        "5",
        "--strengths",
        "40",
        "--kinds",
        "cosmic_rays",
        "--explain",
        "1",
        "--rivals",
        "60",
        "--threads",
        "1",
    ]
    assert run_command(["evaluate", str(model), "-o", str(tmp_path), *options]) == 0
    results = json.loads((tmp_path / RESULTS).read_text())
    assert set(results["spectra"]["kind"]) == {"cosmic_rays"}
    assert set(results["spectra"]["strength"]) == {10.0, 20.0, 40.0}
    assert set(COMBINATIONS) < set(results["methods"])
    assert (tmp_path / FIGURE).read_bytes().startswith(b"\x89PNG")
    tables = (tmp_path / TABLES).read_text()
    for text in (
        "Localisation AUC",
        "by chance",
        "gradient x input",
        "\\|gradient x input\\|",
        "Cost of one",
    ):
        assert text in tables
    shown = " ".join("".join(capsys.readouterr()).split())
    assert "Peak on the injected pixels" in shown


def test_a_number_below_none_to_explain_is_refused_at_once(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run_command(["evaluate", str(model), "-o", str(out), "--explain", "-1"]) == 64
    assert "--explain" in capsys.readouterr().err
    assert not out.exists()
