"""Fixtures of this folder's tests."""

from __future__ import annotations

from tests.run_fixtures import model, ray, release
from tests.servers.prefect import prefect, prefect_server
from tests.servers.s3 import s3, s3_user, s3_visitor

__all__ = ["model", "prefect", "prefect_server", "ray", "release", "s3", "s3_user", "s3_visitor"]
