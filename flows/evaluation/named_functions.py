"""Named functions: methods and detectors of strangers, by ``module:function`` on the command line.

Importing a module runs it. Who names one chooses that; but a file that merely lies in the current directory
must not be run because it has the name of the module that was meant. So such a module is refused, unless
PYTHONPATH says that modules are to be taken from there.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import ErrorKind, InputError


def is_function_name(text: str) -> bool:
    """Whether it names a function of a module."""
    return ":" in text


def named_function(text: str) -> Callable[..., Any]:
    """The function that ``module:function`` names.

    Raises
    ------
    InputError : there is none, or its module lies in the current directory.
    """
    module, _, name = text.partition(":")
    _refuse_current_directory(text, module)
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise _refused(text, f"{type(error).__name__}: {error}") from error
    if not callable(found):
        raise _refused(text, f"a {type(found).__name__}")
    function: Callable[..., Any] = found
    return function


def _refuse_current_directory(text: str, module: str) -> None:
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError) as error:
        raise _refused(text, f"{type(error).__name__}: {error}") from error
    if spec is None:
        raise _refused(text, "no such module")
    here = Path.cwd().resolve()
    asked_for = {Path(each).resolve() for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each}
    # Modules that Python has in itself have an origin that is no path, such as "frozen".
    places = [
        *(spec.submodule_search_locations or ()),
        *([spec.origin] if spec.origin and spec.has_location else []),
    ]
    packages = {Path(each).resolve() for each in spec.submodule_search_locations or ()}
    for each in places:
        path = Path(each).resolve()
        directory = path.parent if path in packages or not packages else path.parent.parent
        if directory == here and here not in asked_for:
            raise _refused(text, f"a module of the current directory, {path}")


def _refused(text: str, got: str) -> InputError:
    return InputError(
        "A method or detector is not there to be called.",
        where=text,
        got=got,
        allowed="module:function, of a module that is installed or on PYTHONPATH",
        remedy="Correct the name, install the module, or add its directory to PYTHONPATH.",
        kind=ErrorKind.BENCHMARK_FUNCTION,
    )
