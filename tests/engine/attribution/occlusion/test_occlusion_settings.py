"""Occlusion settings: round trip, refusals, and which baselines a seed draws."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from engine.attribution.baselines import drawn_calibration
from engine.attribution.occlusion.settings import PRESETS, OcclusionSettings, of_preset
from models.errors import ConfigurationError


def test_settings_survive_json() -> None:
    settings = OcclusionSettings("random", "tiled", "significance", (1, 4, 16), (0, 0, 8), 5, 7)
    assert OcclusionSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert OcclusionSettings.from_dict({}) == OcclusionSettings()


def test_a_preset_is_a_name_for_settings_that_can_be_chosen_apart() -> None:
    assert of_preset("nearest") == OcclusionSettings()
    for name, stands_for in PRESETS.items():
        assert of_preset(name, seed=3) == OcclusionSettings.from_dict({**stands_for, "seed": 3})
    mixed = of_preset("paper", baseline_source="nearest", windows=(1, 4))
    assert mixed == OcclusionSettings("nearest", "dense", "inverse-variance", (1, 4))
    with pytest.raises(ConfigurationError, match="got: Paper\n  allowed: nearest, paper, reference-code"):
        of_preset("Paper")  # type: ignore[arg-type]


@pytest.mark.parametrize("windows", [(), (0, 4), (4, 1), (4, 4), (1.0, 4), (True, 4), (-1,)])
def test_windows_must_be_increasing_whole_pixels(windows: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"got: {list(windows)}")):
        OcclusionSettings(windows=windows)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"preset": "paper"}, r"does not know(.|\n)*got: preset"),
        ({"baseline_source": "near"}, r"baseline_source\n  got: near\n  allowed: nearest, random"),
        ({"spacing": "centred"}, r"spacing\n  got: centred\n  allowed: sparse, dense, tiled"),
        ({"combination": "sum"}, r"combination\n  got: sum\n  allowed: mean, significance"),
        ({"offsets": [0, 0]}, r"offsets\n  got: \[0, 0\] for sparse windows"),
        ({"spacing": "tiled", "windows": [1, 4], "offsets": [0]}, r"got: \[0\] for tiled windows \[1, 4\]"),
        ({"spacing": "tiled", "windows": [4], "offsets": [-1]}, r"got: \[-1\](.|\n)*from 0"),
        ({"baselines": 0}, r"number of baselines(.|\n)*got: 0(.|\n)*at least 1"),
        ({"seed": -1}, r"seed is too small(.|\n)*got: -1(.|\n)*at least 0"),
        ({"memory_bytes": 2**20}, r"does not know(.|\n)*got: memory_bytes"),
        ({"window": [1]}, r"does not know(.|\n)*got: window(.|\n)*allowed: baseline_source=nearest, spacing"),
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
