"""Records: what is read is what was written for the same question, or nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from engine.benchmark.judging import Judgement
from engine.benchmark.records import RecordKey, Records
from models.errors import InputError

KEY = RecordKey("digest", "model", {"seed": 1}, 7, "lime", {"samples": 20}, "judged")


def test_a_record_comes_back_with_its_gaps(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.read(KEY) is None
    records.write(KEY, Judgement({"auc": 0.1 + 0.2, "width": math.nan}, 1.23456, 0.5, "why"))
    found = records.read(KEY)
    assert found is not None
    assert found.measures["auc"] == 0.1 + 0.2
    assert math.isnan(found.measures["width"])
    assert (found.seconds, found.measuring, found.failure) == (1.2346, 0.5, "why")


@pytest.mark.parametrize(
    "other",
    [
        {"model": "other"},
        {"spectra": {"seed": 2}},
        {"settings": {"samples": 21}},
    ],
)
def test_a_record_of_another_question_does_not_count(tmp_path: Path, other: dict[str, object]) -> None:
    records = Records(tmp_path)
    records.write(KEY, Judgement({}, 1.0))
    assert records.read(replace(KEY, **other)) is None
    assert records.read(KEY) is not None


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"digest":1}', b'{"digest":"x","measures":{},"seconds":NaN}']
)
def test_a_damaged_record_does_not_count(tmp_path: Path, damage: bytes) -> None:
    records = Records(tmp_path)
    records.write(KEY, Judgement({}, 1.0))
    KEY.path(tmp_path).write_bytes(damage)
    assert records.read(KEY) is None


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        Records(tmp_path).write(KEY, Judgement({}, 1.0))
