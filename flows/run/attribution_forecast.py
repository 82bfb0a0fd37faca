"""Forecast of an attribution: how long, how large and how much memory, before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.attribution.methods import method_of
from flows.run.attribution_preparation import PreparedAttribution
from flows.run.forecast import COORDINATOR_BYTES, stored_bytes
from flows.run.rates import Basis, default_rates, given_rates
from flows.run.worker_room import processes
from infra.settings import Settings


@dataclass(frozen=True)
class AttributionForecast:
    """What an attribution will take, if nothing goes wrong.

    Attributes
    ----------
    store, name : of the set; method, settings : by which it explains.
    outliers : to explain.
    not_outliers, absent : see :class:`flows.store.attribution_summary.AttributionSummary`.
    passes : forward passes that one explanation stands for, see
        :class:`engine.attribution.method.AttributionMethod`.
    explaining : seconds of one core for each; basis, note : where they come from.
    workers : processes that share the work.
    written_bytes : of what stays in the store.
    worker_bytes : memory that each worker needs at most; memory_bytes : of all processes together.
    """

    store: str
    name: str
    method: str
    settings: Mapping[str, object]
    outliers: int
    not_outliers: int
    absent: int
    passes: int
    explaining: float
    basis: Basis
    note: str
    workers: int
    written_bytes: float
    worker_bytes: int
    memory_bytes: int

    @property
    def hours(self) -> float:
        """Of wall time, shared out to all workers."""
        return self.outliers * self.explaining / 3600.0 / self.workers

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return {**asdict(self), "hours": self.hours}


def attribution_forecast(
    prepared: PreparedAttribution, settings: Settings, rates: str | None = None
) -> AttributionForecast:
    """The forecast of a prepared attribution.

    Parameters
    ----------
    rates : see :func:`flows.run.rates.given_rates`; None for those of another machine.

    Raises
    ------
    ConfigurationError : the rates were not understood.
    """
    configuration, request = prepared.own.configuration, prepared.request
    attribution, serial = configuration.attribution, prepared.executor == "serial"
    usual = default_rates([each.card for each in prepared.models], attribution)
    taken = usual if rates is None else given_rates(rates, usual)
    note = "given" if rates else "of another machine (docs/numbers.md); --rates explaining=… gives yours"
    workers = processes(prepared.executor, request.workers, settings)
    return AttributionForecast(
        store=request.store,
        name=prepared.entry.name,
        method=prepared.entry.method,
        settings=prepared.entry.settings,
        outliers=prepared.outliers,
        not_outliers=prepared.not_outliers,
        absent=prepared.absent,
        passes=method_of(attribution).passes(attribution, configuration.grid.size),
        explaining=taken.explaining,
        basis=taken.basis,
        note=note,
        workers=workers,
        written_bytes=prepared.outliers * stored_bytes("attribution", configuration),
        worker_bytes=prepared.worker_bytes,
        # A process that does the work itself coordinates it, too.
        memory_bytes=prepared.worker_bytes if serial else workers * prepared.worker_bytes + COORDINATOR_BYTES,
    )
