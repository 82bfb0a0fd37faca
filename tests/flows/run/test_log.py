"""What the log of a run tells, from a real one: counts that add up, failures, names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.forked_commands import forked_whyspec
from tests.small_run import small_options


def read_log(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_the_log_of_a_run_adds_up(release: Path, model: Path, tmp_path: Path) -> None:
    store, log = tmp_path / "odd.zarr", tmp_path / "run.log"
    copy = tmp_path / "release"
    shutil.copytree(release, copy)
    bad = min(copy.rglob("coadd-*.fits"))
    bad.write_bytes(bad.read_bytes()[:2000])
    settings = {"WHYSPEC_LOG_FILE": str(log), "WHYSPEC_LOG_FORMAT": "json"}
    ran = forked_whyspec("run", str(copy), *small_options(store, model), "--json", **settings)
    assert ran.returncode == 3, ran.stderr
    summary = json.loads(ran.stdout)
    records = read_log(log)
    events = [str(record["event"]) for record in records]
    events = [event for event in events if event.startswith(("run", "plan", "stage"))]
    # One warning for each way in which spectra lie outside what the model knows.
    warnings = events.count("run-warning")
    assert warnings >= 1
    told_before = ["run-begun", "plan-made", "stage-begun", "stage-begun"]
    assert events == [*told_before, *["run-warning"] * warnings, "run-ended"]
    assert len({record["run"] for record in records}) == 1
    by_event: dict[str, list[dict[str, object]]] = {}
    for record in records:
        by_event.setdefault(str(record["event"]), []).append(record)
    (plan,) = by_event["plan-made"]
    assert (plan["refused"], plan["files"]["new"]) == (1, 3)  # type: ignore[index]
    scored = [each for each in by_event["block-committed"] if each["block_kind"] == "score"]
    assert len(scored) == plan["blocks"]
    assert sum(int(str(each["spectra"])) for each in scored) == summary["spectra"] == plan["spectra"]
    assert sum(int(str(each["outliers"])) for each in scored) == summary["outliers"]
    done = by_event["block-done"]
    assert {(each["block_kind"], each["block"]) for each in done} == {
        (each["block_kind"], each["block"]) for each in by_event["block-committed"]
    }
    (aside,) = by_event["file-quarantined"]
    assert (aside["file"], aside["kind"]) == (str(bad), summary["quarantined"][0]["kind"])
    (ended,) = by_event["run-ended"]
    assert (ended["outcome"], ended["spectra"], ended["quarantined"]) == ("done", summary["spectra"], 1)

    # Refused before any work: the log says so too, behind what it said before, under another name.
    again = forked_whyspec("run", str(copy), *small_options(store, tmp_path / "no-model"), **settings)
    assert again.returncode != 0
    assert read_log(log)[: len(records)] == records
    last = read_log(log)[-1]
    assert (last["event"], last["outcome"]) == ("run-ended", "failed")
    assert last["run"] != ended["run"]
    assert last["kind"]
