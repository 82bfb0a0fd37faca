"""Calling a flow from the command line when there may be no Prefect server to tell."""

from __future__ import annotations

from typing import ParamSpec, TypeVar

from prefect.flows import Flow

from infra.prefect_environment import prepare_prefect

_P = ParamSpec("_P")
_R = TypeVar("_R")


def call_flow(flow: Flow[_P, _R], *arguments: _P.args, **options: _P.kwargs) -> _R:
    """Run a flow without tasks: on the user's Prefect server if there is one, else just run it.

    A server of our own would take seconds to start and be gone, with its records, at the end.
    """
    if prepare_prefect():
        return flow(*arguments, **options)
    return flow.fn(*arguments, **options)
