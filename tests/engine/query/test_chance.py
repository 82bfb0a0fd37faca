"""Chance in a query's answer: a rate where tail probabilities alone select, and why not elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from engine.attribution.significance import chance_sigma
from engine.query.chance import chance_note
from engine.query.query import QuerySettings, answer
from engine.store.reading import StoreView
from flows.bench.query import simulated_store
from models.row_status import RowStatus
from tests.synthetic_store import THRESHOLD, SyntheticStore, synthetic_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    return synthetic_store(tmp_path_factory.mktemp("chance") / "odd.zarr")


def note(store: SyntheticStore, settings: QuerySettings) -> str:
    view = StoreView.open(store.url)
    return chance_note(view, settings, answer(view, settings))


def test_all_outliers_are_compared_with_what_the_threshold_lets_pass(store: SyntheticStore) -> None:
    scored = int((store.rows["status"] == RowStatus.SCORED).sum())
    chosen = int(store.outlier.sum())
    told = note(store, QuerySettings())
    assert (
        f"of {scored:,} scored spectra {chosen:,} have a tail probability of at most {THRESHOLD:.2g}" in told
    )
    assert f"False discovery rate up to {min(THRESHOLD * scored / chosen, 1):.0%}:" in told


def test_a_range_of_redshifts_counts_its_own_spectra(store: SyntheticStore) -> None:
    redshift = store.rows["redshift"]
    low, high = 0.1, float(np.nanmedian(redshift))
    within = (redshift >= low) & (redshift <= high)
    scored = int((within & (store.rows["status"] == RowStatus.SCORED)).sum())
    told = note(store, QuerySettings(redshift=(low, high)))
    assert f"of {scored:,} scored spectra {int((within & store.outlier).sum()):,} have" in told


def test_the_oddest_few_have_the_limit_of_their_largest_tail_probability(store: SyntheticStore) -> None:
    view = StoreView.open(store.url)
    limit = float(answer(view, QuerySettings(top=3))["tail_probability"].max())
    told = note(store, QuerySettings(top=3))
    assert f"{int((store.tail <= limit).sum()):,} have a tail probability of at most {limit:.2g}" in told


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (QuerySettings(line="Halpha"), "--line looks at what makes spectra odd"),
        (QuerySettings(place="5008", without_cautions=("edge",)), "--place, --without-caution looks at"),
        (QuerySettings(instrument=(0.0, 1.0)), "--instrument looks at"),
        (
            QuerySettings(where="z > 0 and (tail < 1 or mse_100 > 2)"),
            "mse_100 in the expression, tail_probability in",
        ),
        (QuerySettings(where="cause = 'unknown'", line="Halpha"), "--line, cause in the expression looks at"),
        (QuerySettings(where="cluster is null"), "cluster in the expression looks at"),
        (QuerySettings(where="not explained"), "explained in the expression looks at"),
    ],
)
def test_conditions_on_what_is_odd_have_no_rate(
    store: SyntheticStore, settings: QuerySettings, text: str
) -> None:
    view = StoreView.open(store.url)
    told = chance_note(view, settings, answer(view, QuerySettings()))
    assert told.startswith(f"No false discovery rate: {text}")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of usual spectra alone: their tail probabilities are uniform, whatever else is known."""
    url = str(tmp_path_factory.mktemp("usual") / "odd.zarr")
    simulated_store(url, 40_000, lambda _: None)
    return url


@pytest.mark.parametrize(
    "settings",
    [
        QuerySettings(where="z between 0.1 and 1.3 and zwarn = 0"),
        QuerySettings(where="class = 'GALAXY' or (snr > 0.5 and not superseded)", redshift=(0.2, np.inf)),
        QuerySettings(where="fiber < 2500 and dec > 0 and model = 'simulated'"),
        QuerySettings(where="ra > 300", top=60),
    ],
)
def test_an_expression_on_what_is_known_before_scoring_keeps_the_rate(
    usual: str, settings: QuerySettings
) -> None:
    view = StoreView.open(usual)
    found = answer(view, settings)
    told = chance_note(view, settings, found)
    said = re.search(
        r"up to (\d+)%: of ([\d,]+) scored spectra ([\d,]+) have .*; chance alone makes ([\d,.]+)\.", told
    )
    assert said is not None, told
    rate, scored, selected, chance = (float(number.replace(",", "")) for number in said.groups())
    every = answer(view, replace(settings, status="scored", top=None, columns=("tail_probability",)))
    assert scored == len(every) < 40_000
    limit = THRESHOLD if settings.top is None else found["tail_probability"].max()
    assert selected == (every["tail_probability"] <= limit).sum()
    assert abs(selected - chance) < 4 * np.sqrt(chance)  # all of it is chance
    assert rate == pytest.approx(100 * min(chance / selected, 1), abs=1)


def test_what_was_asked_for_by_name_was_not_chosen(store: SyntheticStore) -> None:
    told = note(store, QuerySettings(keys=(store.rows.keys()[0],)))
    assert told.startswith("No false discovery rate: these spectra were asked for by name")


def test_the_largest_sigma_of_chance_is_that_of_all_scored_spectra(store: SyntheticStore) -> None:
    found = answer(StoreView.open(store.url), QuerySettings()).assign(trials=1000)
    told = chance_note(StoreView.open(store.url), QuerySettings(), found)
    scored = int((store.rows["status"] == RowStatus.SCORED).sum())
    said = re.search(r"Of ([\d,]+) spectra with 1,000 places each, chance shows up to ([\d.]+) sigma\.", told)
    assert said is not None
    assert said.groups() == (f"{scored:,}", f"{chance_sigma(1000 * scored):.1f}")


def test_nothing_found_says_nothing(store: SyntheticStore) -> None:
    assert note(store, QuerySettings(redshift=(5.0, 6.0))) == ""
