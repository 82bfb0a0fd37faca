"""Fixtures of this folder's tests."""

from __future__ import annotations

from tests.run_fixtures import model, release

__all__ = ["model", "release"]
