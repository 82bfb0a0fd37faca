"""State of a run: how far it is. Its lock carries it, for other processes to read."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field

_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is.

    Attributes
    ----------
    stage : what it does, in words: ``"get ready"``, ``"list files"``, ``"plan blocks"``, ``"score spectra"``,
        ``"explain outliers"``, or what it waits for.
    files_listed, files : files looked at, and to look at, by the listing.
    blocks_done, blocks, spectra_done, spectra : of the stage.
    outliers : found so far by this run.
    explained : outliers explained so far by this run.
    retries : blocks that were run again.
    quarantined : files that could not be read by this run's blocks.
    spectra_per_second : since the stage began; 0 where nothing is done yet.
    """

    stage: str = ""
    files_listed: _Count = 0
    files: _Count = 0
    blocks_done: _Count = 0
    blocks: _Count = 0
    spectra_done: _Count = 0
    spectra: _Count = 0
    outliers: _Count = 0
    explained: _Count = 0
    retries: _Count = 0
    quarantined: _Count = 0
    spectra_per_second: _Rate = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the stage ends, at its speed so far; ``None`` if unknown."""
        if self.spectra_per_second <= 0 or not self.spectra:
            return None
        left = (self.spectra - self.spectra_done) / self.spectra_per_second
        return left if math.isfinite(left) else None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, in which a lock keeps the state."""
        return asdict(self)
