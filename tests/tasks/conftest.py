"""Fixtures of this folder's tests."""

from __future__ import annotations

from tests.servers.prefect import prefect, prefect_server

__all__ = ["prefect", "prefect_server"]
