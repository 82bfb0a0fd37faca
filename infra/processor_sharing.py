"""Sharing of processors: how torch's threads wait for each other."""

from __future__ import annotations

import os


def share_processors() -> None:
    """Let torch's threads free their processor soon when one of them is late.

    An array operation ends when its slowest thread ends. By default the others spin for milliseconds. On a
    busy machine that keeps the late thread from running: two explanations at the same time on two cores were
    up to a hundred times slower than one. But threads that never spin make one explanation twice as slow.
    GNU OpenMP reads the variable when torch is imported. A value that the user set stays.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
