"""A made-up method of attribution, added by one value: run, attribute, query, cluster, report, repair.

Everything below is what a file of ``engine/attribution`` would hold. No product file knows of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import whyspec
from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.method import AttributionMethod, MethodSettings, Units, check_whole
from engine.attribution.methods import METHODS
from engine.attribution.subject import Subject
from engine.store.reading import StoreView
from engine.store.verify import verify
from flows.command_line import run_command
from flows.run.request import RunRequest
from flows.run_release import run_release
from flows.store.repair import repair
from infra.settings import Settings
from models.errors import ConfigurationError
from tests.small_run import small_options, small_request, tree_bytes

NAME, UNIT = "brightness", "flux"


@dataclass(frozen=True, slots=True)
class BrightnessSettings(MethodSettings):
    """``width`` : pixels over which the flux is averaged."""

    method: ClassVar[str] = NAME

    width: int = 9

    def __post_init__(self) -> None:
        check_whole(self, width=1)


def attribute(subject: Subject, settings: BrightnessSettings) -> Attribution:
    flux = subject.flux.double().cpu().numpy()
    mean = np.convolve(flux, np.full(settings.width, 1 / settings.width), mode="same")
    return attribution_of(subject, (settings.width,), mean[None])


BRIGHTNESS = AttributionMethod(
    settings=BrightnessSettings,
    needs=frozenset({"forward"}),
    reference="none: made up",
    attribute=attribute,
    scales=lambda settings: (settings.width,),
    passes=lambda _settings, _pixels: 1,
    units=lambda _: Units(UNIT, UNIT),
    scale_meaning="pixels that are averaged",
)


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    METHODS[NAME] = BRIGHTNESS
    yield
    del METHODS[NAME]


def by_brightness(release: Path, store: Path, model: Path) -> RunRequest:
    return replace(
        small_request(release, store, model), method=NAME, preset=None, windows=None, baselines=None
    )


@pytest.fixture(scope="module")
def store(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Explained by the made-up method, and by the same over other widths as a further set."""
    made = tmp_path_factory.mktemp("bright") / "odd.zarr"
    run_release(by_brightness(release, made, model), Settings())
    command = ["attribute", str(made), "--method", NAME, "--setting", "width=101", "--name", "wide"]
    assert run_command([*command, "--executor", "serial"]) == 0
    assert verify(str(made)).ok
    return made


def test_a_run_and_a_further_set_hold_its_maps(store: Path) -> None:
    view = StoreView.open(str(store))
    for name, width in (("default", 9), ("wide", 101)):
        shown = view.with_explanation(name)
        assert shown.configuration.attribution == BrightnessSettings(width)
        maps, flux, ivar = (shown.read(f"outliers/{each}")[0] for each in ("maps", "flux", "ivar"))
        mean = np.convolve(flux.astype(float), np.full(width, 1 / width), mode="same")
        np.testing.assert_allclose(maps[0], np.where(ivar > 0, mean, 0), rtol=2e-3, atol=1e-6)
    document = json.loads((store / "outliers/window/zarr.json").read_text())
    assert document["attributes"]["description"] == "pixels that are averaged"


def test_commands_take_it_by_its_name(
    store: Path, release: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["methods", NAME]) == 0
    assert "width=9" in capsys.readouterr().out
    options = [*small_options(tmp_path / "new.zarr", model)[:6], "--method", NAME]
    assert run_command(["plan", str(release), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["configuration"][NAME] == {"width": 9}
    assert run_command(["attribute", str(store), "--name", "wide", "--plan"]) == 0
    assert f"wide, by {NAME}" in capsys.readouterr().out
    page = tmp_path / "odd.html"
    for options in ([], ["--explanation", "wide"]):
        assert run_command(["query", str(store), *options, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found
        assert all(each["explained"] for each in found if each["score"] is not None)
        assert run_command(["cluster", str(store), *options, "--clusters", "2"]) == 0
        assert run_command(["report", str(store), *options, "-o", str(page), "--top", "1"]) == 0
        assert NAME in page.read_text(encoding="utf-8")
        capsys.readouterr()
    key = found[0]["key"]
    assert run_command(["show", str(store), key, "-o", str(tmp_path / "why.png"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["method"], list(told["other_explanations"])) == (NAME, ["wide"])
    assert len(told["agreement"]) == 1


def test_python_takes_it_by_its_name(store: Path, model: Path) -> None:
    loaded = whyspec.load_model(str(model))
    wavelength = loaded.card.grid.wavelength()
    flux = 1 + np.exp(-0.5 * np.square((wavelength - 6000) / 20))
    found = loaded.explain(wavelength, flux, np.full(len(flux), 25.0), 0.1, method=NAME, width=3)
    assert found.maps.shape[0] == 1
    assert whyspec.attribute(str(store), name="wide", progress=False).explained == 0


def test_what_is_lost_of_it_is_made_again_and_mistakes_are_refused(store: Path) -> None:
    whole = tree_bytes(store)
    for path in ("outliers/maps/c/0/0/0", "explanations/wide/outliers/maps/c/0/0/0"):
        (store / path).unlink()
    assert not verify(str(store)).ok
    assert repair(str(store), Settings()).ok
    assert tree_bytes(store) == whole
    with pytest.raises(ConfigurationError, match=rf"{NAME} settings, width\n  got: 0"):
        whyspec.attribute(str(store), NAME, settings={"width": 0}, progress=False)
    with pytest.raises(ConfigurationError, match="another method or with other settings"):
        whyspec.attribute(str(store), NAME, name="wide", settings={"width": 7}, progress=False)
