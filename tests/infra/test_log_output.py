"""Log records: who, which run, which block; text and JSON; no credentials; nothing that stops a run."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.run.execution import new_run_name
from infra.log_output import (
    LogOutput,
    log_named,
    set_up_logging,
    set_up_logging_of_flow,
    worker_log,
)
from infra.settings import Settings
from models.errors import ConfigurationError
from models.log_events import log_event, log_fields

LAYERS = ("flows", "tasks", "engine", "models", "infra")
LOG = logging.getLogger("engine.somewhere")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Loggers are the process's: other tests find them as they were."""
    kept = [(logging.getLogger(name), logging.getLogger(name).__dict__.copy()) for name in LAYERS]
    handlers = {name: list(logging.getLogger(name).handlers) for name in LAYERS}
    yield
    for logger, _ in kept:
        for handler in set(logger.handlers) - set(handlers[logger.name]):
            handler.close()
    for logger, state in kept:
        logger.__dict__.update(state, handlers=handlers[logger.name])
        logger.manager._clear_cache()  # type: ignore[attr-defined]


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_id_sorts_by_time_and_does_not_repeat() -> None:
    first, second = new_run_name(), new_run_name()
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", first)
    assert first != second
    assert first[:15] <= second[:15]


def test_a_json_record_says_who_where_and_what(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "run.log"
    set_up_logging(LogOutput(form="json", file=str(file)))
    with log_named("20261124-093015-4f1c9a"), log_fields(block_kind="score", block=3):
        log_event(LOG, logging.INFO, "block-done", "done 100% of s3://me:pass@bucket", seconds=1.5)
        log_event(LOG, logging.DEBUG, "detail", "not for the file")
    LOG.warning("outside %s", "a run", extra={})
    first, second = records(file)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(first.pop("time")))
    assert first == {
        "level": "INFO",
        "logger": "engine.somewhere",
        "run": "20261124-093015-4f1c9a",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "message": "done 100% of s3://***@bucket",
        "block_kind": "score",
        "block": 3,
        "event": "block-done",
        "seconds": 1.5,
    }
    assert (second["run"], second["message"], "block" in second) == ("", "outside a run", False)


def test_fields_are_redacted_and_the_line_stays_json(tmp_path: Path) -> None:
    file = tmp_path / "run.log"
    set_up_logging(LogOutput(form="json", file=str(file)))
    request = {"store": "s3://me:pass@bucket/a", "files": ("https://h/a?sig=abc&x=1",)}
    log_event(LOG, logging.INFO, "run-begun", 'with "quotes"\nand lines', request=request, kind=Path("a"))
    (record,) = records(file)
    assert record["request"] == {"store": "s3://***@bucket/a", "files": ["https://h/a?sig=***&x=1"]}
    assert (record["message"], record["kind"]) == ('with "quotes"\nand lines', "a")


def test_a_text_record_is_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.log"
    set_up_logging(LogOutput(file=str(file)))
    with log_named("R"), log_fields(block_kind="score", block=3):
        LOG.info("read https://me:pass@host/a")
        log_event(LOG, logging.WARNING, "block-retried", "score block 3 will be tried again: disk\nfull")
    process = f"R {socket.gethostname()}:{os.getpid()}"
    lines = file.read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines[:2]] == [
        f"INFO {process} score block 3: read https://***@host/a",
        f"WARNING {process} score block 3 will be tried again: disk",
    ]
    assert lines[2] == "  full"
    # Standard error has what is above its own level.
    assert capsys.readouterr().err.splitlines() == lines[1:]


def test_a_worker_logs_beside_the_coordinator(tmp_path: Path) -> None:
    settings = Settings(log_file=tmp_path / "run.log", log_format="json")
    sent = pickle.dumps(worker_log(settings, "20261124-093015-4f1c9a"))
    begin_process = pickle.loads(sent)  # noqa: S301 - our own
    begin_process()
    LOG.info("from a worker")
    started, record = records(tmp_path / f"run.worker-{socket.gethostname()}-{os.getpid()}.log")
    assert (started["event"], started["run"]) == ("worker-started", "20261124-093015-4f1c9a")
    assert (record["run"], record["message"]) == ("20261124-093015-4f1c9a", "from a worker")
    assert not (tmp_path / "run.log").exists()


def test_a_worker_without_a_disk_for_its_log_works_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    worker_log(Settings(log_file=tmp_path / "file" / "run.log"), "R")()
    assert "The log file cannot be written." in capsys.readouterr().err


def test_a_log_file_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="log file cannot be written") as caught:
        set_up_logging(LogOutput(file=str(tmp_path / "file" / "run.log")))
    assert caught.value.where == "WHYSPEC_LOG_FILE"


@pytest.mark.parametrize(
    ("output", "variable"),
    [
        (LogOutput(level="LOUD"), "WHYSPEC_LOG_LEVEL"),
        (LogOutput(file="run.log", file_level="LOUD"), "WHYSPEC_LOG_FILE_LEVEL"),
    ],
)
def test_an_unknown_level_is_refused(
    output: LogOutput, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="no such log level") as caught:
        set_up_logging(output)
    assert caught.value.where == variable


def test_handlers_of_others_stay_and_get_what_a_file_would(tmp_path: Path) -> None:
    seen: list[str] = []

    class Prefects(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    for name in LAYERS:
        logging.getLogger(name).handlers = []
    set_up_logging_of_flow(LogOutput())
    assert logging.getLogger("engine").handlers == []  # nobody asked for a log
    for name in LAYERS:
        logging.getLogger(name).addHandler(Prefects())
    set_up_logging_of_flow(LogOutput())
    log_event(LOG, logging.INFO, "run-begun", "into s3://me:pass@bucket")
    assert seen == ["into s3://***@bucket"]
