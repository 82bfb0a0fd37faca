"""Where whyspec's log goes: standard error, above the level in the settings; libraries stay quiet."""

from __future__ import annotations

import logging

from models.errors import ConfigurationError

_LAYERS = ("flows", "tasks", "engine", "models", "infra")
_LOUD_LIBRARIES = ("distributed", "dask", "prefect", "ray", "fsspec", "botocore", "matplotlib", "asyncio")


def set_up_logging(level: str) -> None:
    """Send whyspec's log at ``level`` and above to standard error, other libraries' errors only.

    Raises
    ------
    ConfigurationError : there is no such level.
    """
    names = logging.getLevelNamesMapping()
    if level.upper() not in names:
        raise ConfigurationError(
            "There is no such log level.",
            where="WHYSPEC_LOG_LEVEL",
            got=level,
            allowed="DEBUG, INFO, WARNING, ERROR, CRITICAL",
            remedy="Use one of these.",
            kind="log-level",
        )
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in _LAYERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(names[level.upper()])
        logger.propagate = False
    for name in _LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
