"""Work that shows itself on the user's Prefect server as a flow run."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from infra.prefect_server import has_server, on_server

_P = ParamSpec("_P")
_R = TypeVar("_R")


def as_flow(name: str, work: Callable[_P, _R]) -> Callable[_P, _R]:
    """``work`` as a flow of that name, whose parameters the server shows; itself without a server."""
    if not has_server():
        return work

    def flow_run(*given: _P.args, **named: _P.kwargs) -> _R:
        with on_server():
            from prefect import flow

            return flow(name=name, persist_result=False)(work)(*given, **named)

    return flow_run
