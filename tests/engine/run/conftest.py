"""Fixtures of this folder's tests."""

from __future__ import annotations

from tests.run_fixtures import model, ray, release

__all__ = ["model", "ray", "release"]
