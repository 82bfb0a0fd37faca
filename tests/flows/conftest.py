"""Fixtures of this folder's tests."""

from __future__ import annotations

from tests.run_fixtures import model, prefect, ray, release
from tests.servers.s3 import s3, s3_user, s3_visitor

__all__ = ["model", "prefect", "ray", "release", "s3", "s3_user", "s3_visitor"]
