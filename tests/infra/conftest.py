"""Fixtures of this folder's tests."""

from __future__ import annotations

from tests.run_fixtures import model, release
from tests.servers.prefect import prefect, prefect_server

__all__ = ["model", "prefect", "prefect_server", "release"]
