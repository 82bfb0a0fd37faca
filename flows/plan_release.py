"""Planning of a release: what a run would do, and what it would take. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass

from engine.run.events import RunObservers
from flows.run.forecast import Forecast, forecast, rates_of, sample_of
from flows.run.preparation import PreparedRun, prepare
from flows.run.request import RunRequest
from infra.settings import Settings, cpu_count, worker_count


@dataclass(frozen=True)
class PlannedRun:
    """A run that can begin, and its forecast."""

    prepared: PreparedRun
    forecast: Forecast


def plan_release(
    request: RunRequest,
    settings: Settings,
    observers: RunObservers = (),
    *,
    workers: int = 0,
    rates: str | None = None,
    measure: bool = False,
) -> PlannedRun:
    """Plan a run.

    Parameters
    ----------
    workers : processes, here or on a cluster; 0 for as many as the settings say.
    rates, measure : what to forecast with, see :func:`flows.run.forecast.rates_of`.

    Raises
    ------
    WhyspecError : see :func:`flows.run.preparation.prepare` and :func:`flows.run.forecast.rates_of`.
    """
    prepared = prepare(request, settings, observers)
    sample, unreadable = sample_of(prepared)
    taken = rates_of(prepared, sample, rates, measure)
    share = workers or worker_count(settings, cpu_count())
    return PlannedRun(prepared, forecast(prepared, sample, unreadable, taken, share))
