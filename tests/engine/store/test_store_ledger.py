"""Ledger of a store: entries are written once and read as they were written."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.spectra.source_file import RefusedFile
from engine.store.blocks import BlockResult, WrittenObject
from engine.store.checksummed import checksummed, read_checksummed
from engine.store.ledger import Ledger
from engine.store.objects import ObjectTree
from engine.store.saved_plans import AttributionPlan, ScorePlan
from models.errors import StoreError
from tests.engine.store.store_builders import configuration, source_file

RESULT = BlockResult(
    kind="score",
    index=3,
    plan="p",
    spectra=8,
    status_counts=(("scored", 7), ("sky_fibre", 1)),
    outliers=(24, 31),
    unreadable=(RefusedFile("a.fits", "truncated-file", "It ends early.\n  where: HDU 4"),),
    objects=(WrittenObject("spectra/ra/c/3", 120, "00ff"),),
    caution_counts=(("edge", 2), ("sky_lines", 1)),
)
REMEDY = "Run .whyspec verify --repair."


@pytest.fixture
def tree(tmp_path):
    return ObjectTree(str(tmp_path))


def test_results_come_back_as_they_were_committed_in_order_of_blocks(tree):
    ledger = Ledger(tree, configuration())
    places = (3, 11, 1_000_000)
    results = {place: replace(RESULT, index=place, outliers=(8 * place, 8 * place + 7)) for place in places}
    for place in reversed(places):
        ledger.commit(results[place])
    assert list(ledger.results("score").items()) == list(results.items())
    assert ledger.results("attribution") == {}


def test_a_block_may_be_committed_again_with_the_same_outcome_only(tree):
    ledger = Ledger(tree, configuration())
    ledger.commit(RESULT)
    ledger.commit(RESULT)
    with pytest.raises(StoreError, match=r"another outcome[\s\S]*ledger/score/00000003.json"):
        ledger.commit(replace(RESULT, outliers=(24,)))
    assert ledger.results("score") == {3: RESULT}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:0],
        lambda data: data.replace(b'"spectra":8', b'"spectra":9'),
        lambda data: b"[1, 2]" + data[:0],
    ],
)
def test_a_damaged_entry_is_named(tree, damage):
    ledger = Ledger(tree, configuration())
    ledger.commit(RESULT)
    path = "ledger/score/00000003.json"
    tree.put(path, damage(tree.get(path)))
    with pytest.raises(StoreError, match=rf"damaged[\s\S]*{path}[\s\S]*{REMEDY}"):
        ledger.results("score")
    errors: list[StoreError] = []
    assert ledger.results("score", errors.append) == {}
    assert [error.where.endswith(path) for error in errors] == [True]


@given(st.data())
def test_a_changed_byte_is_found_or_changes_nothing(data):
    body = asdict(RESULT)
    entry = bytearray(checksummed(body))
    entry[data.draw(st.integers(0, len(entry) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_checksummed(bytes(entry), "here", "")
    except StoreError:
        return
    assert json.loads(found) == json.loads(json.dumps(body))


def test_spaces_and_the_order_of_members_are_no_damage(tree):
    ledger = Ledger(tree, configuration())
    ledger.commit(RESULT)
    path = "ledger/score/00000003.json"
    members = json.loads(tree.get(path)).items()
    tree.put(path, json.dumps(dict(reversed(members)), indent=2).encode())
    assert ledger.results("score") == {3: RESULT}


def test_an_entry_under_another_name_is_refused(tree):
    ledger = Ledger(tree, configuration())
    ledger.commit(RESULT)
    tree.put("ledger/score/00000004.json", tree.get("ledger/score/00000003.json"))
    with pytest.raises(StoreError, match=r"00000004.json[\s\S]*the entry of ledger/score/00000003.json"):
        ledger.results("score")


def test_entries_hold_no_floats_and_no_dates(tree):
    ledger = Ledger(tree, configuration())
    ledger.commit(RESULT)
    ledger.save_plan(ScorePlan("/r", "desi", 0, 8, (source_file("a", 9),), ()))
    ledger.save_plan(AttributionPlan(0, 4, (24, 2**22)))

    def refuse(text):
        raise AssertionError(f"a float in the ledger: {text}")

    for path in tree.sizes("ledger"):
        document = json.loads(tree.get(path), parse_float=refuse)
        assert not {"date", "time", "created"} & set(document)


def test_what_a_killed_writer_left_is_not_an_entry(tree):
    ledger = Ledger(tree, configuration())
    ledger.commit(RESULT)
    tree.put("ledger/score/.00000004.json.0123456789abcdef.partial", b"{")
    assert set(ledger.results("score")) == {3}


def test_plans_come_back_equal_and_in_the_order_of_their_blocks(tree):
    ledger = Ledger(tree, configuration())
    refused = (RefusedFile("b.fits", "no-redshift-file", "text"),)
    plans = [
        ScorePlan("/r", "desi", 2, 8, (source_file("c", 4),), ()),
        ScorePlan("/r", "desi", 0, 8, (source_file("a", 9), source_file("b", 0)), refused),
    ]
    explaining = [AttributionPlan(3, 4, (1, 2)), AttributionPlan(0, 4, tuple(range(9)))]
    for plan in (*plans, *explaining):
        ledger.save_plan(plan)
    assert ledger.plans() == (plans[1], plans[0])
    assert ledger.attribution_plans() == (explaining[1], explaining[0])
    assert ledger.plans()[0].digest == plans[1].digest


def test_a_damaged_plan_is_to_be_restored_not_deleted(tree):
    ledger = Ledger(tree, configuration())
    plan = ScorePlan("/r", "desi", 0, 8, (source_file("a", 9),), ())
    ledger.save_plan(plan)
    tree.put(f"ledger/plans/{plan.digest}.json", b"")
    with pytest.raises(StoreError, match=r"remedy: Restore this object"):
        ledger.plans()
