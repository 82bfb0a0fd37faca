"""What the plan benchmark found, and the JSON that it is written as."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from engine.bench.devices import Machine

SCHEMA = 1


@dataclass(frozen=True)
class PlanCase:
    """One way to plan the same release.

    Attributes
    ----------
    name : what was planned; counts : files by state.
    seconds : of the quickest run: listing, looking into files, reading the ledger, comparing.
    peak_bytes : peak memory of an uncounted run above what was in use before; None if unknown.
    """

    name: str
    counts: dict[str, int]
    seconds: float
    peak_bytes: int | None


@dataclass(frozen=True)
class PlanBench:
    """All that was measured.

    Attributes
    ----------
    files, spectra : of the release; blocks : of the store.
    repeats : timed runs of each case, of which the quickest counts.
    ledger_bytes : size of the saved plan.
    """

    files: int
    spectra: int
    blocks: int
    repeats: int
    ledger_bytes: int
    cases: tuple[PlanCase, ...]
    machine: Machine

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, with the rate of each case."""
        rates = {case.name: self.files / case.seconds for case in self.cases}
        return {"schema": SCHEMA, **asdict(self), "derived": {"files_per_second": rates}}
