"""``whyspec ablation`` as a user meets it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from engine.attribution.occlusion.settings import OcclusionSettings
from engine.evaluation.explained_injections import ExplanationSettings
from flows.command_line import run_command
from flows.evaluation import ablation


@pytest.mark.slow
def test_a_part_is_measured_and_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # At the scales of users it takes long.
    few = partial(ExplanationSettings, occlusion=OcclusionSettings(windows=(64, 512), baselines=2))
    monkeypatch.setattr(ablation, "ExplanationSettings", few)
    monkeypatch.setenv("WHYSPEC_THREADS", "1")
    command = ["ablation", str(model), "-o", str(tmp_path), "--parts", "cost", "--spectra", "4"]
    assert run_command(command) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["cost.md"]
    table = (tmp_path / "cost.md").read_text()
    for text in ("Cost of one", "gradient x input", "integrated gradients"):
        assert text in table
    assert "Written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--parts", "cost,taste"), "got taste"),
        (("--parts", ""), "got none"),
        (("--explained", "0"), "--explained"),
        (("--spectra", "0"), "spectra"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_computed(
    options: tuple[str, ...], named: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run_command(["ablation", str(model), "-o", str(out), *options]) == 64
    assert named in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
