"""The rule of decision 51 on results made up for it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.attribution.methods import DEFAULT_METHOD
from engine.benchmark.choice import choose, mark
from engine.benchmark.results import BenchmarkResults, JudgedMap, MethodResults, Spectrum
from engine.benchmark.tables import benchmark_markdown, choice_text

MODELS = {"desi": "d", "sdss": "s"}
GOOD = {"leak": 0.0, "random_weights": 0.1, "cpd": 1.0, "mu_fidelity": 0.9}


def spectrum(model: str, number: int) -> Spectrum:
    return Spectrum(model, number, "tilt", 20.0, 1.0, 0.1, 5.0, 1e-4, 0.5, True, 0.01, 0.02)


def method(
    name: str, level: float, *, count: int = 60, seconds: float = 1.0, failed: int = 0, **others: float
) -> MethodResults:
    """Marks around a level; those of one spectrum go up and down together, whatever the method."""
    random = np.random.default_rng(1)
    maps = []
    for model in MODELS:
        for number in range(count):
            precision = level + 0.1 * random.standard_normal()
            measures = {"located": level, "average_precision": precision, "mass": level, "width": level}
            maps.append(
                JudgedMap(
                    spectrum(model, number),
                    measures | GOOD | others,
                    seconds,
                    "why" if number < failed else "",
                )
            )
    return MethodResults(name, {}, {"desi": 3, "sdss": 3}, tuple(maps))


def results(*methods: MethodResults) -> BenchmarkResults:
    spectra = tuple(each.spectrum for each in methods[0].maps)
    return BenchmarkResults({"spectra": {"seed": 1}}, MODELS, spectra, methods, ())


def test_a_mark_is_the_mean_of_what_applies() -> None:
    one = spectrum("desi", 0)
    full = {"located": 1.0, "average_precision": 0.5, "mass": 0.3, "width": 0.0}
    assert mark(JudgedMap(one, full, 1.0, "")) == pytest.approx(0.45)
    assert mark(JudgedMap(one, full | {"width": np.nan}, 1.0, "")) == pytest.approx(0.6)
    assert mark(JudgedMap(one, full | {"mass": np.nan}, 1.0, "")) == pytest.approx(0.375)
    assert mark(JudgedMap(one, full, 1.0, "failed")) == 0.0


def test_the_default_stays_unless_another_is_surely_better() -> None:
    default = method(DEFAULT_METHOD, 0.6)
    assert choose(results(default, method("saliency", 0.6))).chosen == DEFAULT_METHOD
    assert choose(results(default, method("saliency", 0.4))).chosen == DEFAULT_METHOD
    better = choose(results(default, method("saliency", 0.7)))
    assert better.chosen == "saliency"
    gain, bound = better.gains["saliency"]
    assert gain.value == pytest.approx(0.1)
    assert 0 < bound <= gain.value


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"leak": 0.2}, "where the scorer is blind"),
        ({"random_weights": 0.6}, "shuffled weights"),
        ({"random_weights": np.nan}, "shuffled weights"),
        ({"seconds": 11.0}, "11 s for a spectrum"),
        ({"failed": 2}, "explains 97% of the spectra"),
    ],
)
def test_who_may_not_be_the_default(fault: dict[str, float], why: str) -> None:
    found = choose(results(method(DEFAULT_METHOD, 0.6), method("saliency", 0.9, **fault)))  # type: ignore[arg-type]
    assert found.chosen == DEFAULT_METHOD
    assert why in found.barred["saliency"][0]
    assert why in choice_text(found)


def test_of_equal_winners_the_cheapest_and_only_of_whyspec() -> None:
    default = method(DEFAULT_METHOD, 0.5)
    dear, cheap = method("lime", 0.8, seconds=5.0, count=20), method("saliency", 0.8, seconds=0.1)
    assert choose(results(default, dear, cheap)).chosen == "saliency"
    assert choose(results(default, method("lime", 0.9, seconds=5.0), cheap)).chosen == "lime"
    # A stranger's may win, but no run can call it.
    assert choose(results(default, method("mine", 0.99))).chosen == DEFAULT_METHOD


def test_a_default_that_was_not_judged_is_said_to_stay() -> None:
    stays = "it was not judged"
    assert stays in choice_text(choose(results(method("saliency", 0.9))))
    assert stays not in choice_text(choose(results(method(DEFAULT_METHOD, 0.5), method("saliency", 0.9))))


def test_an_unfaithful_choice_is_said() -> None:
    others = [method(name, 0.4) for name in ("lime", "sobol")]
    found = choose(results(method(DEFAULT_METHOD, 0.6, cpd=0.1, mu_fidelity=0.1), *others))
    assert not found.faithful
    assert "lower half" in choice_text(found)


def test_the_page_has_every_method_and_its_numbers() -> None:
    found = results(method(DEFAULT_METHOD, 0.5), method("saliency", 0.7))
    page = benchmark_markdown(found, choose(found))
    for text in ("| saliency | 120 | 0.70", "by chance | 120", "20 σ in all", "CPD ↑", "**infidelity**"):
        assert text in page
