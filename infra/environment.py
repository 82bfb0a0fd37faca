"""Environment of whyspec's processes, set before they start others. A value that the user set stays."""

from __future__ import annotations

import os
from pathlib import Path

_VARIABLES = {
    # A release that was downloaded may hold a numpy.py: no process imports from its working directory.
    "PYTHONSAFEPATH": "1",
    # Let torch's threads free their processor soon when one of them is late. An array operation ends when its
    # slowest thread ends. By default the others spin for milliseconds. On a busy machine that keeps the late
    # thread from running: two explanations at the same time on two cores were up to a hundred times slower
    # than one. But threads that never spin make one explanation twice as slow. GNU OpenMP reads it when torch
    # is imported.
    "GOMP_SPINCOUNT": "2000",
}
_FIRMWARE = Path("/sys/class/dmi/id")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def prepare_environment() -> None:
    """Set the variables that this process and those that it starts go by."""
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    if not _is_of_amazon():
        # Elsewhere nobody answers at the address where S3's client looks up the role of a machine.
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    _reach_loopback_directly()


def _reach_loopback_directly() -> None:
    """Ask no proxy for a server on this machine, e.g. Prefect's: a proxy would look for it on its own."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    if "*" not in hosts:
        hosts += [host for host in LOOPBACK if host not in hosts]
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(hosts)


def _is_of_amazon() -> bool:
    """Whether this machine is one of EC2; its firmware says so, in containers too."""
    for name in ("sys_vendor", "bios_vendor", "bios_version", "product_version"):
        try:
            text = (_FIRMWARE / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if "amazon" in text.lower():
            return True
    return False
