"""Query of a store: conditions, order and columns of its answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from engine.clustering.pipeline import cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.query.conditions.condition import Condition
from engine.query.query import (
    COLUMNS,
    NOT_IN_STORE,
    QuerySettings,
    answer,
    answer_in_parts,
    parse_redshift_range,
    query,
)
from engine.query.table_formats import chosen_format, write_table
from engine.store.reading import StoreView
from engine.store.store import Store
from models.errors import ConfigurationError, InputError
from models.row_status import RowStatus
from tests.engine.clustering.synthetic import SMALL_GRID
from tests.engine.store.store_builders import mark_superseded
from tests.synthetic_store import FIRST_TARGET, SyntheticStore, synthetic_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    return synthetic_store(tmp_path_factory.mktemp("query") / "odd.zarr")


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    store = synthetic_store(tmp_path_factory.mktemp("query") / "clustered.zarr")
    cluster_store(store.url, ClusteringSettings(resamples=3, maximum=5))
    return store


@pytest.fixture(scope="module")
def brute(store: SyntheticStore) -> pd.DataFrame:
    """Everything that was put into the store, as one frame of plain columns."""
    frame = pd.DataFrame(
        {
            "key": store.rows.keys(),
            "target_id": store.rows["target_id"],
            "redshift": store.rows["redshift"],
            "score": store.score,
            "tail": store.tail,
            "outlier": store.outlier,
            "source": store.source,
            "status": [RowStatus(code).label for code in store.rows["status"]],
        }
    )
    frame["place"] = np.nan
    frame.loc[store.outlier, "place"] = store.place_wavelength
    frame["bits"] = 0
    frame.loc[store.outlier, "bits"] = store.cautions
    return frame


def keys(frame: pd.DataFrame) -> list[str]:
    return frame["key"].tolist()


def oddest_first(frame: pd.DataFrame) -> list[str]:
    return frame.sort_values("tail")["key"].tolist()


def test_without_conditions_all_outliers_oddest_first(store: SyntheticStore, brute: pd.DataFrame) -> None:
    answer = query(store.url, QuerySettings())
    assert tuple(answer.columns) == COLUMNS
    assert keys(answer) == oddest_first(brute[brute["outlier"]])
    assert set(answer["status"]) == {"scored"}
    merged = answer.merge(brute, on="key", suffixes=("", "_put"))
    np.testing.assert_array_equal(merged["score"], merged["score_put"])
    np.testing.assert_array_equal(merged["place_wavelength"], merged["place"])
    np.testing.assert_allclose(merged["place_rest_wavelength"], merged["place"] / (1 + merged["redshift"]))
    assert merged["source"].tolist() == merged["source_put"].tolist()
    assert answer["explained"].all()
    assert (answer[["place_width", "share"]] == [12.0, 0.5]).all(axis=None)
    assert set(answer["flux"]) == {"excess"}
    for _, row in answer.iterrows():
        named = f"{row['line']} " if row["line"] else ""
        assert row["places"] == f"{named}{row['place_wavelength']:.1f} Å, 12 Å wide, excess, 50%"


def test_what_causes_measured_and_the_significance_of_places(store: SyntheticStore) -> None:
    found = query(store.url, QuerySettings())
    every = np.array(store.rows.keys())
    put = dict(zip(every[store.outlier], np.arange(store.outlier.sum()) / 1000, strict=True))
    assert found["estimate_redshift"].tolist() == [put[key] for key in found["key"]]
    np.testing.assert_array_equal(found["estimate_redshift_error"], np.float32(0.00025))
    assert found["estimates"][0] == f"redshift {found['estimate_redshift'][0]:.5f} ± 0.00025"
    assert found[["estimate_velocity", "estimate_wavelength_error"]].isna().all(axis=None)
    assert set(found["not_testable"]) == {"broad_lines arm_step"}
    assert set(found["sigma"]) == {7.25}
    assert (set(found["pixels"]), set(found["trials"])) == ({15}, {9000})
    other = query(store.url, QuerySettings(keys=(str(every[~store.outlier][0]), "nowhere")))
    assert other["estimates"].tolist() == other["not_testable"].tolist() == ["", ""]
    assert other[["sigma", "estimate_redshift"]].isna().all(axis=None)
    assert (other[["pixels", "trials"]] == 0).all(axis=None)


def test_top_and_redshift(store: SyntheticStore, brute: pd.DataFrame) -> None:
    inside = brute[brute["outlier"] & brute["redshift"].between(0.1, 0.2)]
    assert keys(query(store.url, QuerySettings(redshift=(0.1, 0.2)))) == oddest_first(inside)
    assert keys(query(store.url, QuerySettings(redshift=(0.1, 0.2), top=3))) == oddest_first(inside)[:3]
    assert len(query(store.url, QuerySettings(redshift=(5.0, 6.0)))) == 0


@pytest.mark.parametrize(
    ("place", "wavelength", "tolerance", "rest"),
    [
        ("Hα", 6564.61, 15.0, True),
        ("OIII", 5008.24, 15.0, True),
        ("5894.57+-4", 5894.57, 4.0, True),
        ("obs:6900±150", 6900.0, 150.0, False),
    ],
)
def test_place_by_line_and_wavelength(
    store: SyntheticStore, brute: pd.DataFrame, place: str, wavelength: float, tolerance: float, rest: bool
) -> None:
    middle = brute["place"] / (1 + brute["redshift"]) if rest else brute["place"]
    wanted = brute[brute["outlier"] & ((middle - wavelength).abs() <= tolerance)]
    assert len(wanted) > 0
    assert keys(query(store.url, QuerySettings(place=place))) == oddest_first(wanted)


def test_by_the_name_of_a_line(store: SyntheticStore) -> None:
    every = query(store.url, QuerySettings())
    assert (every["line"] == "Hα").any()
    for name in ("Halpha", "hα"):
        answer = query(store.url, QuerySettings(line=name))
        assert keys(answer) == keys(every[every["line"] == "Hα"])


@pytest.mark.parametrize(
    ("wanted", "unwanted"),
    [
        (("edge",), ()),
        (("sky_lines", "edge"), ()),
        (("edge",), ("sky-lines",)),
        (("any",), ()),
        ((), ("any",)),
        (("masked",), ()),
    ],
)
def test_cautions(
    store: SyntheticStore, brute: pd.DataFrame, wanted: tuple[str, ...], unwanted: tuple[str, ...]
) -> None:
    bits = {"edge": 2, "sky_lines": 32, "sky-lines": 32, "masked": 16, "any": 255}
    keep = brute["outlier"].copy()
    for name in wanted:
        keep &= (brute["bits"] & bits[name]) != 0
    for name in unwanted:
        keep &= (brute["bits"] & bits[name]) == 0
    answer = query(store.url, QuerySettings(cautions=wanted, without_cautions=unwanted))
    assert keys(answer) == oddest_first(brute[keep])
    named = {0: "", 2: "edge", 32: "sky_lines", 34: "edge sky_lines"}
    merged = answer.merge(brute, on="key")
    assert merged["cautions"].tolist() == [named[each] for each in merged["bits"]]


def test_what_is_not_explained_has_no_cautions_to_ask_for(store: SyntheticStore) -> None:
    ids = (FIRST_TARGET, FIRST_TARGET + 1, FIRST_TARGET + 2)
    every = query(store.url, QuerySettings(target_ids=ids)).set_index("target_id")
    assert every.loc[FIRST_TARGET, "cautions"] == ""
    for settings in (
        QuerySettings(target_ids=ids, without_cautions=("masked",)),
        QuerySettings(target_ids=ids, cautions=("any",)),
    ):
        assert query(store.url, settings)["target_id"].tolist() == [FIRST_TARGET + 1]


def test_target_ids_find_rows_of_any_status_and_say_what_is_not_there(
    store: SyntheticStore, brute: pd.DataFrame
) -> None:
    asked = (FIRST_TARGET + 1, FIRST_TARGET, FIRST_TARGET + 2, FIRST_TARGET + 3, 7)
    answer = query(store.url, QuerySettings(target_ids=asked)).set_index("target_id")
    assert answer["status"].to_dict() == {
        FIRST_TARGET + 1: "scored",
        FIRST_TARGET: "sky_fibre",
        FIRST_TARGET + 2: "scored",
        FIRST_TARGET + 3: "no_redshift",
        7: NOT_IN_STORE,
    }
    assert answer.index[-1] == 7
    assert answer["place_wavelength"].notna().tolist() == [True, False, False, False, False]
    assert np.isnan(answer.loc[FIRST_TARGET, "score"])


def test_neighbouring_19_digit_ids_are_told_apart(store: SyntheticStore) -> None:
    assert float(FIRST_TARGET + 1) == float(FIRST_TARGET + 2)
    answer = query(store.url, QuerySettings(target_ids=(FIRST_TARGET + 1,)))
    assert answer["target_id"].dtype == np.int64
    assert answer["target_id"].tolist() == [FIRST_TARGET + 1]


def test_keys_and_target_ids_add_up(store: SyntheticStore) -> None:
    key = f"iron/main/bright/{FIRST_TARGET + 5}"
    answer = query(store.url, QuerySettings(keys=(key, "no/such/key"), target_ids=(FIRST_TARGET + 9,)))
    assert set(answer["key"]) == {key, f"iron/main/bright/{FIRST_TARGET + 9}", "no/such/key"}
    assert answer["status"].iloc[-1] == NOT_IN_STORE


def test_conditions_hold_together_with_ids(store: SyntheticStore, brute: pd.DataFrame) -> None:
    ids = tuple(int(each) for each in brute["target_id"][:60])
    answer = query(store.url, QuerySettings(target_ids=ids, redshift=(0.1, 0.2)))
    wanted = brute[:60][brute["redshift"][:60].between(0.1, 0.2)]
    assert set(answer["key"]) == set(wanted["key"])


def test_cluster_and_its_column(clustered: SyntheticStore) -> None:
    every = query(clustered.url, QuerySettings())
    assert every["cluster"].notna().all()
    for number in sorted(set(every["cluster"])):
        answer = query(clustered.url, QuerySettings(cluster=int(number)))
        assert keys(answer) == keys(every[every["cluster"] == number])
        assert answer["line"].nunique() == 1
    ids = (FIRST_TARGET, FIRST_TARGET + 1)
    mixed = query(clustered.url, QuerySettings(target_ids=ids)).set_index("target_id")
    assert mixed["cluster"].isna().to_dict() == {FIRST_TARGET: True, FIRST_TARGET + 1: False}


def test_without_clustering_the_column_is_unknown(store: SyntheticStore) -> None:
    assert query(store.url, QuerySettings(top=3))["cluster"].isna().all()


def test_superseded_rows_are_not_found(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr")
    mark_superseded(Store.open(store.url), [1, 2])
    assert f"iron/main/bright/{FIRST_TARGET + 1}" not in keys(query(store.url, QuerySettings()))
    answer = query(store.url, QuerySettings(target_ids=(FIRST_TARGET + 1, FIRST_TARGET + 2)))
    assert answer["status"].tolist() == [NOT_IN_STORE, NOT_IN_STORE]


def test_a_store_without_outliers_answers_with_nothing(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", outliers=False)
    answer = query(store.url, QuerySettings())
    assert tuple(answer.columns) == COLUMNS
    assert len(answer) == 0


def test_errors_say_what_to_do(store: SyntheticStore, clustered: SyntheticStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not been clustered[\s\S]*whyspec cluster"):
        query(store.url, QuerySettings(cluster=0))
    with pytest.raises(InputError, match=r"no cluster of that number[\s\S]*got: 99[\s\S]*allowed: 0 to 3"):
        query(clustered.url, QuerySettings(cluster=99))
    with pytest.raises(InputError, match=r"no clustering of that name[\s\S]*allowed: default"):
        query(clustered.url, QuerySettings(clustering="other"))
    with pytest.raises(InputError, match="no whyspec store"):
        query(str(tmp_path / "nothing.zarr"), QuerySettings())
    with pytest.raises(ConfigurationError, match=r"first is not below[\s\S]*--z"):
        QuerySettings(redshift=(0.3, 0.1))
    with pytest.raises(ConfigurationError, match="not positive"):
        QuerySettings(top=0)
    with pytest.raises(ConfigurationError, match=r"no caution[\s\S]*--caution[\s\S]*edge"):
        QuerySettings(cautions=("edgy",))
    with pytest.raises(ConfigurationError, match="no line of that name"):
        QuerySettings(place="unobtainium")
    with pytest.raises(ConfigurationError, match=r"no line of that name[\s\S]*--line[\s\S]*Did you mean Hα"):
        QuerySettings(line="halfa")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("0.1:0.3", (0.1, 0.3)), (":0.3", (-np.inf, 0.3)), ("0.1:", (0.1, np.inf)), (":", (-np.inf, np.inf))],
)
def test_redshift_ranges(text: str, wanted: tuple[float, float]) -> None:
    assert parse_redshift_range(text) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [("0.3:0.1", "first is larger"), ("0.3", "colon"), ("a:b", "not numbers"), ("nan:1", "two numbers")],
)
def test_bad_redshift_ranges(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        parse_redshift_range(text)


@pytest.mark.parametrize(
    "settings",
    [
        QuerySettings(status="any"),
        QuerySettings(top=7, order=("snr:desc",)),
        QuerySettings(target_ids=tuple(FIRST_TARGET + row for row in (3, 5, 40, 149, 999)), top=3),
    ],
)
def test_an_answer_in_parts_is_the_answer_but_for_its_order(
    store: SyntheticStore, settings: QuerySettings
) -> None:
    view = StoreView.open(store.url)
    bounds = [(0, 40), (40, 41), (41, 41), (60, 1000), (41, 60)]
    parts = list(
        answer_in_parts(
            view,
            settings,
            (Condition("row >= ? AND row < ?", each, frozenset({"row"})) for each in bounds),
        )
    )
    whole = answer(view, settings)
    there = whole[whole["status"] != NOT_IN_STORE].sort_values("key", ignore_index=True)
    joined = pd.concat(parts, ignore_index=True).sort_values("key", ignore_index=True)
    pd.testing.assert_frame_equal(joined, there, check_dtype=False)
    assert [list(part) for part in parts] == [list(COLUMNS)] * len(bounds)
    assert len(parts[2]) == 0


def test_identifiers_above_2_63_are_found_and_shown_as_the_catalogue_has_them(tmp_path: Path) -> None:
    first = 10_586_837_783_195_965_440  # an eBOSS plate above 8191
    store = synthetic_store(
        tmp_path / "odd.zarr", grid=replace(SMALL_GRID, name="sdss"), first_target=first - 2**64
    )
    absent = 2**64 - 2
    answer = query(store.url, QuerySettings(target_ids=(first + 1, first + 2, absent), keys=("none",)))
    assert answer["target_id"].dtype == np.uint64
    assert answer["target_id"].tolist() == [first + 1, first + 2, absent, 0]
    assert answer["status"].tolist()[2:] == [NOT_IN_STORE] * 2
    for suffix in ("csv", "json", "txt", "fits", "parquet"):
        write_table(answer, chosen_format(None, tmp_path / f"a.{suffix}"), tmp_path / f"a.{suffix}")
    for suffix in ("csv", "json"):
        assert all(str(number) in (tmp_path / f"a.{suffix}").read_text() for number in (first + 1, absent))
    assert f"TARGETID {absent}" in (tmp_path / "a.txt").read_text()
    assert Table.read(tmp_path / "a.fits")["target_id"].tolist() == answer["target_id"].tolist()
    assert pd.read_parquet(tmp_path / "a.parquet")["target_id"].tolist() == answer["target_id"].tolist()
    with pytest.raises(ConfigurationError, match="no identifier of the survey"):
        query(store.url, QuerySettings(target_ids=(2**64,)))
    assert query(store.url, QuerySettings())["target_id"].dtype == np.uint64
    assert query(store.url, QuerySettings(keys=("none",)))["target_id"].tolist() == [0]
