"""The command that lists the methods of attribution."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

_MOST_PIXELS = 100_000
"""More than any grid has; numbers of coalitions would not fit a line."""


def methods(
    names: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    /,
    *,
    pixels: int | None = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """List the methods of attribution: what each needs of a model, takes and lets one set.

    whyspec methods lime repair

    whyspec explain, run and attribute take these names by --method, and settings by --setting NAME=VALUE.
    docs/methods.md says when to use which.

    Parameters
    ----------
    names
        Methods to list. Default: all.
    pixels
        Pixels of the spectrum that the forward passes are for. Default: those of the first survey, DESI.
    json
        Write the methods as JSON to standard output.
    """
    from engine.attribution.method_choice import method_named
    from engine.attribution.method_description import description_of
    from engine.attribution.methods import METHODS
    from engine.surveys.surveys import SURVEYS
    from flows import option_types
    from flows.console import facts, messages, write_json

    size = SURVEYS[0].grids[0].size if pixels is None else pixels
    option_types.between("--pixels", size, 1, _MOST_PIXELS)
    found = [description_of(method_named(name), size) for name in names or METHODS]
    if json:
        write_json([each.to_dict() for each in found])
        return 0
    console = messages(as_json=False)
    for each in found:
        console.print(facts(each.name, each.facts()))
    return 0
