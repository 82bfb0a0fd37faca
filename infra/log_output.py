"""Log output: standard error, and one file for each process.

The coordinator writes the file of the setting ``log_file``. Each Ray worker writes one beside it, with its
host and process in the name. So no lock and no server is needed, and a record outlives its process. A record
has the run, the host and the process, and within a block the block. Secrets are hidden. Libraries log only
critical errors.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infra.settings import Settings
from models.errors import ConfigurationError, ErrorKind
from models.log_events import ATTRIBUTE, current_log_fields, log_event
from models.plain_text import printable
from models.secrets import redacted, redacted_values

_LAYERS = ("flows", "tasks", "engine", "models", "infra")
_LOUD_LIBRARIES = ("distributed", "dask", "prefect", "ray", "fsspec", "botocore", "matplotlib", "asyncio")
_LOG = logging.getLogger(__name__)
_HOST = socket.gethostname()


@dataclass(frozen=True, slots=True)
class LogOutput:
    """Outputs of the log.

    Attributes
    ----------
    level, file_level : least level of records on standard error and in the file.
    form : of both: ``"text"``, or ``"json"`` with one object a line.
    file : path of the file; empty for none.
    """

    level: str = "WARNING"
    form: str = "text"
    file: str = ""
    file_level: str = "INFO"

    @classmethod
    def of(cls, settings: Settings) -> LogOutput:
        """The outputs that the settings name, with an absolute path."""
        file = str(settings.log_file.absolute()) if settings.log_file is not None else ""
        return cls(settings.log_level, settings.log_format, file, settings.log_file_level)

    def of_worker(self) -> LogOutput:
        """The outputs of this process as a worker: a file beside the coordinator's."""
        if not self.file:
            return self
        path = Path(self.file)
        name = f"{path.stem}.worker-{_HOST}-{os.getpid()}{path.suffix}"
        return LogOutput(self.level, self.form, str(path.with_name(name)), self.file_level)


def set_up_logging(output: LogOutput, run: str = "") -> None:
    """Send whyspec's log where ``output`` says, other libraries' critical errors only.

    Handlers that others gave whyspec's loggers stay. ``run`` is the name that records carry.

    Raises
    ------
    ConfigurationError : there is no such level, or the file cannot be written.
    """
    formatter = _Json(run) if output.form == "json" else _Text(run)
    handlers: list[logging.Handler] = [_StandardError()]
    handlers[0].setLevel(_level("WHYSPEC_LOG_LEVEL", output.level))
    if output.file:
        handlers.append(_file_handler(output))
    for handler in handlers:
        handler.setFormatter(formatter)
    for name in _LAYERS:
        logger = logging.getLogger(name)
        for old in [handler for handler in logger.handlers if isinstance(handler, _OURS)]:
            logger.removeHandler(old)
            old.close()
        for handler in handlers:
            logger.addHandler(handler)
        levels = [handler.level for handler in handlers]
        if len(logger.handlers) > len(handlers):
            # A handler of others, such as Prefect's for its server, gets what a file would get.
            levels.append(_level("WHYSPEC_LOG_FILE_LEVEL", output.file_level))
        logger.setLevel(min(levels))
        logger.propagate = False
    for name in _LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def set_up_logging_of_flow(output: LogOutput) -> None:
    """Set up the log of a flow run of a Prefect worker, where no command did, if a log is wanted.

    It is wanted if a file is named, or if the worker sends the log to its server
    (``PREFECT_LOGGING_EXTRA_LOGGERS``). A notebook keeps its own logging.
    """
    handlers = logging.getLogger(_LAYERS[0]).handlers
    if any(isinstance(handler, _OURS) for handler in handlers):
        return
    if output.file or handlers:
        set_up_logging(output)


@contextmanager
def log_named(run: str) -> Iterator[None]:
    """Within it, every record of this process carries the name of a run: a process does one at a time."""
    formatters = _own_formatters()
    for formatter in formatters:
        formatter.run = run
    try:
        yield
    finally:
        for formatter in formatters:
            formatter.run = ""


def worker_log(settings: Settings, run: str) -> Callable[[], None]:
    """What a worker process of the run calls first, on whatever node: it sets up the worker's log."""
    return partial(set_up_worker_logging, LogOutput.of(settings), run)


def set_up_worker_logging(output: LogOutput, run: str) -> None:
    """Set up the log of a Ray worker of the run, beside the coordinator's ``output``.

    A worker without a disk to log to still works: its records go to standard error, which Ray keeps.
    """
    mine = output.of_worker()
    try:
        set_up_logging(mine, run)
    except ConfigurationError as error:
        set_up_logging(LogOutput(mine.level, mine.form), run)
        log_event(_LOG, logging.WARNING, "log-file-refused", str(error))
    # More of these records than workers: Ray replaced a worker that died.
    log_event(_LOG, logging.INFO, "worker-started", f"worker process {os.getpid()} started")


class _StandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Standard error at the time of each record: progress bars replace the stream.

    Warnings of a run are not repeated there: the summary of the run has them.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if _fields(record).get("event") == "run-warning":
            return
        self.stream = sys.stderr
        super().emit(record)


class _File(logging.FileHandler):
    """A file that is appended to, one record at a time."""


_OURS = (_StandardError, _File)


def _file_handler(output: LogOutput) -> logging.Handler:
    path, level = Path(output.file), _level("WHYSPEC_LOG_FILE_LEVEL", output.file_level)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _File(path, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            "The log file cannot be written.",
            where="WHYSPEC_LOG_FILE",
            got=f"{path}: {error.strerror}",
            remedy="Name a file in a directory that can be written to, or unset it.",
            kind=ErrorKind.LOG_FILE,
        ) from error
    handler.setLevel(level)
    return handler


def _level(variable: str, level: str) -> int:
    names = logging.getLevelNamesMapping()
    if level.upper() not in names:
        raise ConfigurationError(
            "There is no such log level.",
            where=variable,
            got=level,
            allowed="DEBUG, INFO, WARNING, ERROR, CRITICAL",
            remedy="Use one of these.",
            kind=ErrorKind.LOG_LEVEL,
        )
    return names[level.upper()]


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {**current_log_fields(), **getattr(record, ATTRIBUTE, {})}


def _time(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"


class _Formatter(logging.Formatter):
    """A formatter that knows the name of the run; empty outside one."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run


def _own_formatters() -> list[_Formatter]:
    handlers = logging.getLogger(_LAYERS[0]).handlers  # the same of all layers
    return [handler.formatter for handler in handlers if isinstance(handler.formatter, _Formatter)]


class _Text(_Formatter):
    """``time level run host:pid message``, further lines indented."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        where = f"{_HOST}:{record.process}"
        message = record.getMessage()
        if "block" in fields and not message.startswith(f"{fields['block_kind']} block"):
            message = f"{fields['block_kind']} block {fields['block']}: {message}"
        text = f"{_time(record)} {record.levelname} {self.run or '-'} {where} {message}"
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        return printable(redacted(text)).replace("\n", "\n  ")


class _Json(_Formatter):
    """One JSON object a line: time, level, logger, run, host, pid, message, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "run": self.run,
            "host": _HOST,
            "pid": record.process,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        # Value by value: a pattern must not eat the quotes that hold the line together.
        return json.dumps(redacted_values(values), ensure_ascii=False, default=_text)


def _text(value: object) -> str:
    return redacted(str(value))
