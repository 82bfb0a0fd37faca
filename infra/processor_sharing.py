"""How threads wait for each other on a machine that others use too."""

from __future__ import annotations

import os


def share_processors() -> None:
    """Let torch's threads give up the processor soon when one of them is late.

    An array operation ends when its slowest thread does. By default the others spin for milliseconds,
    which on a busy machine keeps the late one from running: two explanations at a time on two cores were
    up to a hundred times slower than one. Waiting passively from the start, on the other hand, makes one
    alone twice as slow. GNU OpenMP reads this when torch is imported; what the user has set stays.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
