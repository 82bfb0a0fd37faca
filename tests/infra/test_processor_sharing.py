"""Threads that wait give up the processor, before torch is there to be told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.small_run import environment


@pytest.mark.parametrize(("given", "found"), [(None, "2000"), ("7", "7")])
def test_the_command_line_sets_it_before_torch_is_imported(given: str | None, found: str) -> None:
    code = (
        "import os, sys, flows.command_line as c\n"
        "assert 'torch' not in sys.modules\n"
        "sys.argv = ['whyspec', '--version']\n"
        "try:\n    c.main()\nexcept SystemExit:\n    pass\n"
        "print(os.environ['GOMP_SPINCOUNT'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**({} if given is None else {"GOMP_SPINCOUNT": given})),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-1] == found
