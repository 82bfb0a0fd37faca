"""Observations in words, and remarks on exposures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.spectra.exposure_remarks import ExposureRemark, counted_remarks
from engine.spectra.observation import OBSERVATION_COLUMNS, Observation
from engine.spectra.rows import COLUMNS, Rows


def observation(**known: object) -> Observation:
    data = Rows.empty(1).data
    for name, value in known.items():
        data[name] = value
    return Observation.of({name: data[name][0] for name in OBSERVATION_COLUMNS})


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({}, ""),
        ({"plate": 266, "mjd": 51602, "fiber": 7, "spectrograph": 1},
         "plate 266, MJD 51602, fiber 7, spectrograph 1"),
        ({"fiber": 0, "petal": 0, "tiles": "80", "night_first": 20210601, "night_last": 20210601,
          "exposure_count": 1}, "fiber 0, petal 0, exposures 1, tile 80, night 20210601"),
        ({"fiber": 9, "tiles": "80 81", "night_first": 20210601, "night_last": 20210702},
         "fiber 9, tiles 80 81, nights 20210601 to 20210702"),
    ],
)  # fmt: skip
def test_it_says_what_is_known(known: dict[str, object], text: str) -> None:
    assert str(observation(**known)) == text


def test_facts_leave_out_what_says_nothing() -> None:
    assert observation().facts == []
    facts = observation(fiber=3, zwarn=4, target_class="LRG").facts
    assert facts == [("taken", "fiber 3"), ("targeted as", "LRG"), ("ZWARN", "4")]


def test_it_is_plain_json_of_columns_of_rows() -> None:
    told = observation(fiber=3, exposures="80/20210601/7/3/0").to_dict()
    assert json.loads(json.dumps(told)) == told
    assert set(told) <= {column.name for column in COLUMNS}


def test_remarks_are_counted_by_label() -> None:
    assert counted_remarks(np.array([0, 5, 4, 1], dtype=np.uint8)) == (
        ("exposures_no_table", 2),
        ("exposures_not_listed", 2),
    )
    assert all(remark.meaning for remark in ExposureRemark)
