"""State of a run: how far it is. Its lock carries it, for other processes to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


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
    files_listed: int = 0
    files: int = 0
    blocks_done: int = 0
    blocks: int = 0
    spectra_done: int = 0
    spectra: int = 0
    outliers: int = 0
    explained: int = 0
    retries: int = 0
    quarantined: int = 0
    spectra_per_second: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the stage ends, at its speed so far; ``None`` if unknown."""
        if self.spectra_per_second <= 0 or not self.spectra:
            return None
        return (self.spectra - self.spectra_done) / self.spectra_per_second

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return asdict(self)

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> RunState:
        """The state that :meth:`to_dict` described.

        Raises
        ------
        TypeError, ValueError : ``body`` does not describe one.
        """
        numbers = {field.name for field in fields(cls)} - {"stage"}
        if not numbers >= set(body) - {"stage"} or not all(
            isinstance(body[name], int | float) for name in set(body) & numbers
        ):
            raise ValueError(f"not the state of a run: {sorted(body)}")
        return cls(**{**body, "stage": str(body["stage"])})
