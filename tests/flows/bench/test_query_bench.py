"""``whyspec bench query``: whyspec and DuckDB alone find the same in a catalogue of simulated rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.query.query import QuerySettings, answer
from engine.store.reading import StoreView
from flows.bench.query import simulated_store
from flows.bench.simulated_arrays import positions, target_ids
from flows.command_line import run_command


def test_simulated_rows_answer_as_a_store(tmp_path: Path) -> None:
    url = str(tmp_path / "odd.zarr")
    update, arrays = simulated_store(url, 20_000, lambda _: None)
    outliers = arrays.every_outlier()
    assert update.rows == 20_000 + len(outliers)
    view = StoreView.open(url)
    found = answer(view, QuerySettings())
    assert len(found) == len(outliers)
    assert found["explained"].all()
    assert (np.diff(found["tail_probability"]) >= 0).all()
    number = 12_345
    (one,) = target_ids(np.array([number])).tolist()
    same = answer(view, QuerySettings(target_ids=(one,), columns=("row", "ra", "dec")))
    (row,) = same[same["row"] == number].to_dict("records")
    ra, dec = positions(np.array([number]))
    assert (row["ra"], row["dec"]) == (ra[0], dec[0])


def test_the_command_measures_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "query.json"
    options = ["--rows", "2000", "--repeats", "1", "--directory", str(tmp_path / "made"), "-o", str(file)]
    assert run_command(["bench", "query", *options, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found == json.loads(file.read_text())
    assert [each["name"] for each in found["questions"]][:2] == ["one TARGETID", "2,000 TARGETIDs"]
    assert found["questions"][1]["found"] == 2000
    assert all(each["cpu_seconds"] > 0 for each in found["questions"])
    assert "that asks for one TARGETID" in err
    assert list((tmp_path / "made").iterdir()) == []
    assert run_command(["bench", "query", "--rows", "10"]) == 64
