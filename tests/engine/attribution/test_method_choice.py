"""Choice of a method: every setting of every method can be written as text, and mistakes are told."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from engine.attribution.method_choice import chosen_settings
from engine.attribution.method_description import description_of
from engine.attribution.methods import DEFAULT_METHOD, METHODS
from engine.attribution.occlusion.settings import OcclusionSettings, of_preset
from engine.attribution.segments.lime import LimeSettings
from engine.attribution.setting_kinds import written
from models.errors import ConfigurationError


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_reads_back_from_the_text_that_is_shown(name: str) -> None:
    kind = METHODS[name].settings
    texts = {each.name: written(each.default) for each in fields(kind)}
    assert chosen_settings(name, texts) == kind() == chosen_settings(name)
    shown = description_of(METHODS[name], 7781)
    assert {each.name: each.default for each in shown.settings} == texts
    assert all(each.kind for each in shown.settings)
    assert shown.passes > 0
    assert set(shown.needs) == METHODS[name].needs


@pytest.mark.parametrize(
    ("method", "settings", "values"),
    [
        (
            "lime",
            {"samples": "200", "ridge": "1e-3", "kernel_width": "NONE"},
            {"samples": 200, "ridge": 1e-3},
        ),
        ("lime", {"kernel_width": " 0.25 ", "replacement": "nearest"}, {"kernel_width": 0.25}),
        ("lime", {"samples": 200, "kernel_width": None}, {"samples": 200, "kernel_width": None}),
        ("occlusion", {"windows": "4, 16,64"}, {"windows": (4, 16, 64)}),
        ("occlusion", {"windows": [4, 16]}, {"windows": (4, 16)}),
        ("occlusion", {"offsets": "none"}, {"offsets": ()}),
        ("aggregate", {"methods": "lime,residual"}, {"methods": ("lime", "residual")}),
        ("plain-occlusion", {"replacement": "mean flux"}, {"replacement": "mean flux"}),
    ],
)
def test_texts_and_values_become_settings(
    method: str, settings: dict[str, object], values: dict[str, Any]
) -> None:
    found = chosen_settings(method, settings)
    assert found.method == method
    assert {name: getattr(found, name) for name in values} == values


def test_what_is_left_out_is_as_before_and_else_the_default() -> None:
    before = LimeSettings(width=32, samples=100)
    assert chosen_settings(before=before) == before
    assert chosen_settings(None, {"seed": "5"}, before=before) == LimeSettings(width=32, samples=100, seed=5)
    assert chosen_settings("sobol", before=before) == METHODS["sobol"].settings()
    assert chosen_settings() == OcclusionSettings()
    options = {"windows": (4, 16), "baselines": None}
    assert chosen_settings(preset="paper", options=options) == of_preset("paper", windows=(4, 16))
    assert chosen_settings(preset="paper", before=OcclusionSettings(baselines=3)) == of_preset(
        "paper", baselines=3
    )


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            {"method": "guess"},
            (
                "no method of attribution of that name",
                "method of attribution",
                "guess",
                "occlusion, plain-occlusion",
            ),
        ),
        (
            {"method": "repair", "settings": {"samples": "3"}},
            ("names that this version", "repair settings", "samples", "usual=0.02, rounds=4, steps=6"),
        ),
        (
            {"method": "repair", "settings": {"method": "x"}},
            ("names that this version", "repair settings", "method", "usual=0.02"),
        ),
        (
            {"method": "saliency", "settings": {"per": "flux", "seed": "1"}},
            ("names that this version", "saliency settings", "seed", "per=sigma"),
        ),
        (
            {"method": "gradient-times-input", "settings": {"per": "flux"}},
            ("names that this version", "gradient-times-input settings", "per", "no settings"),
        ),
        (
            {"method": "lime", "settings": {"samples": "many"}},
            ("not understood", "lime settings, samples", "many", "an integer"),
        ),
        (
            {"method": "lime", "settings": {"amount": "nan"}},
            ("not understood", "lime settings, amount", "nan", "a number, or none"),
        ),
        (
            {"settings": {"windows": "4,x"}},
            ("not understood", "occlusion settings, windows", "4,x", "integers with commas between"),
        ),
        (
            {"method": "lime", "settings": {"samples": "-2"}},
            ("out of range", "lime settings, samples", "-2", "an integer of at least 2"),
        ),
        (
            {"method": "lime", "settings": {"seed": "4294967296"}},
            ("out of range", "lime settings, seed", "4294967296", "an integer of at most 4294967295"),
        ),
        (
            {"method": "extremal-masks", "settings": {"areas": "0"}},
            ("whole pixels", "extremal-masks settings, areas", "[0]", "at least 1"),
        ),
        (
            {"method": "lime", "settings": {"sampling": "wild"}},
            ("out of range", "lime settings, sampling", "wild", "paired, independent"),
        ),
        (
            {"method": "lime", "preset": "paper", "options": {"baseline_source": "random"}},
            ("Options of occlusion", "--preset, --baseline-source", "method lime", "samples=2000"),
        ),
        (
            {"before": LimeSettings(), "options": {"windows": (4,)}},
            ("Options of occlusion", "--windows", "method lime", "samples=2000"),
        ),
        (
            {"options": {"windows": (4,)}, "settings": {"windows": "8"}},
            ("given twice", "--windows", "--setting windows=8", "each setting once"),
        ),
    ],
)
def test_mistakes_are_told_with_what_is_allowed(
    arguments: dict[str, Any], parts: tuple[str, str, str, str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        chosen_settings(**arguments)
    error = caught.value
    for told, text in zip((error.what, error.where, error.got, error.allowed), parts, strict=True):
        assert text in str(told)
    assert error.remedy


def test_the_default_method_is_the_first() -> None:
    assert OcclusionSettings.method == DEFAULT_METHOD
