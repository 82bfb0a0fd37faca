"""Forecast of a run: how long, how large, how much memory, and what its models carry, before it begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.run.coverage import Coverage, SampledFile, coverage_of, sample_files, wilson
from engine.spectra.source_file import SourceFile
from engine.store.blocks import BlockKind
from engine.store.configuration import RunConfiguration
from engine.store.schema import ARRAYS
from engine.store.snapshot import Snapshot
from engine.surveys.surveys import reader_of
from flows.run.preparation import PreparedRun
from flows.run.rates import Rates, default_rates, given_rates
from models.errors import ConfigurationError, ErrorKind
from models.interval import Interval
from models.row_status import RowStatus

COORDINATOR_BYTES = 450 * 2**20
"""What the process that hands out the work takes, whatever the release's size (docs/numbers.md)."""

_ENOUGH_SCORED = 1000
"""So many spectra that a store has scored say which share of the others will be outliers."""

_STORED = 1 / 3
"""Bytes in the store by bytes in memory: compressed, and with fewer bits (docs/numbers.md)."""

_TEXT_BYTES = 32
_ENOUGH_TO_TRAIN = 1000
"""For fewer spectra than this a run's user is not told to train a model."""

OutlierBasis = Literal["store", "measured", "threshold"]


@dataclass(frozen=True)
class Forecast:
    """What a run will take, if nothing goes wrong.

    Attributes
    ----------
    workers : processes that share the work; rates : of one of them.
    spectra : rows to read; scored : of these, those that a model carries.
    outliers : new ones that are expected; outlier_basis : by the share that the store has so far, by
        spectra that were measured, or by the threshold, as if all spectra were usual: real ones have more.
    reading_hours, scoring_hours, explaining_hours : of wall time, shared out to all workers; those of the
        outliers that wait from earlier runs included.
    read_bytes, written_bytes : of spectra read, unpacked; of what stays in the store.
    worker_bytes : memory that each worker needs at most; coordinator_bytes : beside them.
    coverage : what the models carry; None where no table could be read.
    advice : the commands that train models for what none of the run carries, by their words.
    """

    workers: int
    rates: Rates
    spectra: int
    scored: Interval
    outliers: Interval
    outlier_basis: OutlierBasis
    reading_hours: float
    scoring_hours: Interval
    explaining_hours: Interval
    read_bytes: float
    written_bytes: Interval
    worker_bytes: int
    coordinator_bytes: int
    coverage: Coverage | None
    advice: tuple[tuple[str, ...], ...]

    @property
    def hours(self) -> Interval:
        """Of all stages."""
        parts = (self.scoring_hours, self.explaining_hours)
        return Interval(
            self.reading_hours + sum(part.value for part in parts),
            self.reading_hours + sum(part.low for part in parts),
            self.reading_hours + sum(part.high for part in parts),
        )

    @property
    def memory_bytes(self) -> int:
        """Of all processes together."""
        return self.workers * self.worker_bytes + self.coordinator_bytes


def sample_of(prepared: PreparedRun) -> tuple[tuple[SampledFile, ...], int]:
    """A sample of the files that a run would read, and how many of it could not be read."""
    return sample_files(_files(prepared))


def rates_of(
    prepared: PreparedRun, sample: Sequence[SampledFile], given: str | None = None, measure: bool = False
) -> Rates:
    """The rates to forecast with: measured on the sample, else as ``given`` by ``--rates``, else usual ones.

    Raises
    ------
    ConfigurationError : both are asked for, or what is given is not understood.
    RetryError : the disk or network is away.
    """
    usual = default_rates(prepared.cards, prepared.configuration.attribution)
    if not measure:
        return usual if given is None else given_rates(given, usual)
    if given is not None:
        raise ConfigurationError(
            "Rates are either given or measured.",
            where="--rates",
            got=f"{given} and --measure",
            allowed="one of the two",
            remedy="Leave one out.",
            kind=ErrorKind.OPTION,
        )
    # It loads torch, which a plan otherwise needs not.
    from flows.run.measured_rates import measured_rates

    return measured_rates(prepared, sample, usual)


def forecast(
    prepared: PreparedRun, sample: Sequence[SampledFile], unreadable: int, rates: Rates, workers: int
) -> Forecast:
    """The forecast of a prepared run by a sample of its files.

    Parameters
    ----------
    sample, unreadable : see :func:`sample_of`.
    workers : processes, here or on a cluster.
    """
    configuration, spectra = prepared.configuration, prepared.plan.spectra
    coverage = coverage_of(sample, unreadable, len(_files(prepared)) - unreadable, configuration.models)
    scored = (coverage.carried if coverage else Interval(0.0, 0.0, 1.0)).times(spectra)
    share, basis = _outlier_share(configuration.threshold, prepared.snapshot, rates)
    outliers = Interval(share.value * scored.value, share.low * scored.low, share.high * scored.high)
    waiting = prepared.waiting_outliers
    explained = Interval(outliers.value + waiting, outliers.low + waiting, outliers.high + waiting)
    hour_shared = 3600.0 * workers
    of_row, of_outlier = stored_bytes("score", configuration), stored_bytes("attribution", configuration)
    rows = spectra * of_row
    return Forecast(
        workers=workers,
        rates=rates,
        spectra=spectra,
        scored=scored,
        outliers=outliers,
        outlier_basis=basis,
        reading_hours=spectra * rates.reading / hour_shared,
        scoring_hours=scored.times(rates.scoring / hour_shared),
        explaining_hours=explained.times(rates.explaining / hour_shared),
        read_bytes=spectra * (coverage.bytes_per_spectrum if coverage else 0.0),
        written_bytes=Interval(
            rows + explained.value * of_outlier,
            rows + explained.low * of_outlier,
            rows + explained.high * of_outlier,
        ),
        worker_bytes=prepared.worker_bytes,
        coordinator_bytes=COORDINATOR_BYTES,
        coverage=coverage,
        advice=_advice(prepared, coverage),
    )


def stored_bytes(kind: BlockKind, configuration: RunConfiguration) -> float:
    """Bytes in the store of one row of a kind of block."""
    plain = sum(
        (_TEXT_BYTES if array.dtype == "string" else np.dtype(array.dtype).itemsize)
        * math.prod(array.shard_shape(configuration)[1:])
        for array in ARRAYS
        if array.kind == kind
    )
    return plain * _STORED


def _files(prepared: PreparedRun) -> tuple[SourceFile, ...]:
    """The files that a run would read, each once."""
    slices = (part for block in prepared.plan.blocks for part in block.slices)
    return tuple({part.file.url: part.file for part in slices}.values())


def _outlier_share(threshold: float, snapshot: Snapshot, rates: Rates) -> tuple[Interval, OutlierBasis]:
    """Share of scored spectra that will be outliers, and what it follows from."""
    scored = sum(dict(each.status_counts).get(RowStatus.SCORED.label, 0) for each in snapshot.scored.values())
    if scored >= _ENOUGH_SCORED:
        return wilson(snapshot.outliers / scored, scored), "store"
    if rates.scored:
        return wilson(rates.outliers / rates.scored, rates.scored), "measured"
    return Interval(threshold, threshold, threshold), "threshold"


def _advice(prepared: PreparedRun, coverage: Coverage | None) -> tuple[tuple[str, ...], ...]:
    """One ``whyspec train`` for each class and range of redshifts that has spectra enough and no model."""
    if coverage is None:
        return ()
    survey, _ = reader_of(prepared.listing.files[0].reader)
    populations = {name: population for population, names in survey.classes.items() for name in names}
    commands = []
    for cell in coverage.cells:
        if cell.model or cell.share.value * prepared.plan.spectra < _ENOUGH_TO_TRAIN:
            continue
        population = populations.get(cell.spectype, "all")
        ends = (f"{cell.redshift_min:g}", f"{cell.redshift_max:g}")
        commands.append(
            (
                "train", *prepared.request.release, "-o", f"{population}-{ends[0]}-{ends[1]}",
                "--population", population, "--redshift", *ends,
            )
        )  # fmt: skip
    return tuple(commands)
