"""Occlusion settings: round trip, refusals, and which baselines a seed draws."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from engine.attribution.baselines import drawn_calibration
from engine.attribution.occlusion.settings import OcclusionSettings
from models.errors import ConfigurationError


def test_settings_survive_json() -> None:
    settings = OcclusionSettings("reference-code", (1, 4, 16), baselines=5, seed=7)
    assert OcclusionSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert OcclusionSettings.from_dict({}) == OcclusionSettings()


@pytest.mark.parametrize("windows", [(), (0, 4), (4, 1), (4, 4), (1.0, 4), (True, 4), (-1,)])
def test_windows_must_be_increasing_whole_pixels(windows: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"got: {list(windows)}")):
        OcclusionSettings(windows=windows)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"preset": "Paper"}, r"no occlusion preset(.|\n)*got: Paper(.|\n)*paper, reference-code"),
        ({"baselines": 0}, r"number of baselines(.|\n)*got: 0(.|\n)*at least 1"),
        ({"seed": -1}, r"seed is too small(.|\n)*got: -1(.|\n)*at least 0"),
        ({"memory_bytes": 2**20}, r"does not know(.|\n)*got: memory_bytes"),
        ({"window": [1]}, r"does not know(.|\n)*got: window(.|\n)*allowed: preset, windows"),
        ({"windows": 4}, r"wrong kind(.|\n)*windows: tuple"),
    ],
)
def test_refusals_name_value_and_remedy(values: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text) as caught:
        OcclusionSettings.from_dict(values)
    assert caught.value.remedy


def test_the_seed_alone_draws_the_baselines() -> None:
    drawn = drawn_calibration(1000, 8, seed=3)
    assert np.array_equal(drawn, drawn_calibration(1000, 8, seed=3))
    assert len(set(drawn.tolist())) == 8
    assert drawn.min() >= 0
    assert drawn.max() < 1000
    assert not np.array_equal(drawn, drawn_calibration(1000, 8, seed=4))
    # Fixed for ever: stores made with this seed were explained with these baselines.
    assert drawn_calibration(100, 4, seed=0).tolist() == [11, 92, 3, 20]
    assert sorted(drawn_calibration(5, 5, seed=0).tolist()) == [0, 1, 2, 3, 4]


def test_more_baselines_than_spectra_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="5 spectra for 8 baselines"):
        drawn_calibration(5, 8, seed=0)
