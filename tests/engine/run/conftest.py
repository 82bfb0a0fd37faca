"""Fixtures of this folder's tests."""

from __future__ import annotations

from tests.run_fixtures import model, prefect, ray, release

__all__ = ["model", "prefect", "ray", "release"]
