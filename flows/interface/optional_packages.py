"""Optional packages: imported when they are asked for, with a remedy where they are not installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from models.errors import ConfigurationError, ErrorKind


def optional_package(name: str, needed_for: str) -> Any:
    """The package of that name, which is also the name of an extra of whyspec.

    Raises
    ------
    ConfigurationError : it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            "An optional package is not installed.",
            where=needed_for,
            got=error,
            allowed=f"the package {name}",
            remedy=f"Install it: pip install 'whyspec[{name}]'.",
            kind=ErrorKind.MISSING_PACKAGE,
        ) from error
