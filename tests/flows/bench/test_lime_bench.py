"""The LIME benchmark: all ways explain the same spectrum, and the JSON says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.attribution.segments.lime import LIME, PUBLISHED
from flows.bench.lime import PIXELS, made_subject
from flows.command_line import run_command


def test_both_ways_give_the_same_weights_and_the_json_their_ratio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lime.json"
    options = ["--samples", "400", "--repeats", "1", "-o", str(file)]
    assert run_command(["bench", "lime", *options]) == 0
    found = json.loads(file.read_text())
    assert (found["pixels"], found["segments"], found["samples"]) == (3773, 151, 400)
    assert found["published_over_whyspec"] == pytest.approx(4.23 / found["seconds"]["whyspec"])
    assert "151 segments" in capsys.readouterr().out
    if found["captum"] is not None:
        assert found["correlation"] > 0.98
        ratio = found["seconds"]["captum"] / found["seconds"]["whyspec"]
        assert found["captum_over_whyspec"] == pytest.approx(ratio)


def test_the_odd_line_has_the_highest_weight() -> None:
    found = LIME.attribute(made_subject("published_mse_all_100"), PUBLISHED)
    assert abs(found.peak_pixel - 2000) <= PUBLISHED.width
    assert found.r_squared > 0.9
    assert np.isfinite(found.errors).all()
    assert len(found.combined) == PIXELS


def test_too_few_samples_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["bench", "lime", "--samples", "100"]) == 64
    assert "at least 304" in " ".join(capsys.readouterr().err.split())
