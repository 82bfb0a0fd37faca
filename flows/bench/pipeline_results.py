"""Results of the pipeline benchmark, and their JSON.

The JSON is one object, the fields of :class:`PipelineBench` by their names, with ``schema`` and what is
derived from them under ``derived``. ``schema`` is raised when a field changes its meaning or goes.
Seconds are wall-clock, those of parts of one core.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from flows.bench.devices import Machine
from flows.bench.read_ahead import ReadAhead
from flows.bench.start_up import StartUp
from flows.run.part_seconds import PartSeconds

SCHEMA = 1


@dataclass(frozen=True)
class PipelineRun:
    """A run of the true path: Ray and store.

    Attributes
    ----------
    spectra, outliers, explained, files, blocks : what it did; blocks of both kinds.
    begin_seconds : from its begin to the first block: listing, plan, Ray, loading the model.
    scoring_seconds, explaining_seconds : of the stages.
    end_seconds : after the last block.
    seconds : of all of it.
    retries : blocks that were run again.
    driver_bytes : peak of the coordinating process's resident memory.
    """

    spectra: int
    outliers: int
    explained: int
    files: int
    blocks: int
    begin_seconds: float
    scoring_seconds: float
    explaining_seconds: float
    end_seconds: float
    seconds: float
    retries: int
    driver_bytes: int


@dataclass(frozen=True)
class PipelineBench:
    """All results of the benchmark.

    Attributes
    ----------
    model : name of the scoring model.
    workers : processes of the run, and of the measurement of parts.
    distinct : spectra that differ; the others are copies with TARGETIDs of their own.
    parts : of a run, measured without it: before and after the runs, averaged.
    small, run : the same run on part of the release and on all of it.
    read_ahead : the overlap of reading and computing behind a slow store.
    start_up : seconds of the command to its first block, and with nothing to do.
    machine : where.
    """

    model: str
    workers: int
    distinct: int
    parts: PartSeconds
    small: PipelineRun
    run: PipelineRun
    read_ahead: ReadAhead
    start_up: StartUp
    machine: Machine

    @property
    def ideal_seconds(self) -> float:
        """Seconds of the run if only its parts took time, spread evenly over the workers."""
        return self.parts.core_seconds(self.run.spectra, self.run.explained) / self.workers

    @property
    def overhead(self) -> float:
        """What the run took beyond its parts, as a share of them, beginning and end included."""
        return self.run.seconds / self.ideal_seconds - 1.0

    @property
    def stage_overhead(self) -> float:
        """The same for its stages alone: what grows with a release."""
        return (self.run.scoring_seconds + self.run.explaining_seconds) / self.ideal_seconds - 1.0

    @property
    def bottleneck(self) -> str:
        """The part that takes most of the cores' time."""
        shares = self.shares
        return max(shares, key=lambda part: shares[part])

    @property
    def shares(self) -> dict[str, float]:
        """Share of the run's core-seconds by part; what is left is the orchestration and the store."""
        total = self.run.seconds * self.workers
        spectra = self.run.spectra
        found = {
            "decode": self.parts.decode * spectra / total,
            "normalise": self.parts.normalise * spectra / total,
            "score": self.parts.score * spectra / total,
            "explain": self.parts.explain * self.run.explained / total,
        }
        return {**found, "the rest": 1.0 - sum(found.values())}

    @property
    def driver_growth_bytes(self) -> int:
        """Driver memory of the whole release above that of the part."""
        return self.run.driver_bytes - self.small.driver_bytes

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return {
            "schema": SCHEMA,
            **asdict(self),
            "derived": {
                "ideal_seconds": self.ideal_seconds,
                "overhead": self.overhead,
                "stage_overhead": self.stage_overhead,
                "spectra_per_second": self.run.spectra / self.run.seconds,
                "bottleneck": self.bottleneck,
                "shares": self.shares,
                "driver_growth_bytes": self.driver_growth_bytes,
                "reading_hidden": self.read_ahead.hidden,
            },
        }
