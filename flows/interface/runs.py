"""Runs: what the commands run, plan, cluster and report do, from Python."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from flows.run.progress import RunProgress
    from flows.run.request import RunRequest, RunSummary
    from flows.store.attribution_summary import AttributionSummary


def run(release: str | Iterable[str], store: str, *, progress: bool = True, **options: Any) -> RunSummary:
    """Score a release, select its outliers and explain them, into a store; again to continue.

    Parameters
    ----------
    release : a directory, or one or more files of spectra; paths or URLs.
    store : path or URL, made if there is none.
    progress : whether to show bars, or lines, on standard error.
    options : of the run: ``threshold``, ``models``, ``classes``, ``method``, ``settings`` and so on, see
        :class:`flows.run.request.RunRequest`. What is left out is as the store has it, else the default.

    Raises
    ------
    WhyspecError : see :func:`flows.run_release.run_release`. Files that cannot be used are no error: the
        summary names them.
    """
    from flows.run_release import run_release
    from infra.settings import load_settings

    request = _request(release, store, options)
    with ExitStack() as stack:
        return run_release(request, load_settings(), _observers(stack, progress))


def plan(
    release: str | Iterable[str],
    store: str,
    *,
    workers: int = 0,
    rates: str | None = None,
    measure: bool = False,
    progress: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """What :func:`run` would do and take, as ``whyspec plan --json`` has it; nothing is written.

    Parameters
    ----------
    workers, rates, measure : see ``whyspec plan --help``.

    Raises
    ------
    WhyspecError : see :func:`flows.plan_release.plan_release`.
    """
    from flows.plan_release import plan_release
    from flows.run.plan_report import plan_to_dict
    from infra.settings import load_settings

    request = _request(release, store, options)
    with ExitStack() as stack:
        observers = _observers(stack, progress)
        planned = plan_release(
            request, load_settings(), observers, workers=workers, rates=rates, measure=measure
        )
    return plan_to_dict(planned.prepared, planned.forecast)


def attribute(
    store: str,
    method: str | None = None,
    *,
    name: str = "",
    settings: dict[str, Any] | None = None,
    progress: bool = True,
    **selection: Any,
) -> AttributionSummary:
    """Explain outliers of a store by one more method, from what the store holds; again to continue.

    Parameters
    ----------
    method : its name; None for that of the set ``name``, else ``repair``.
    name : of the set of explanations; empty for the method's. settings : of the method.
    selection : which outliers, see :class:`engine.query.query.QuerySettings`: ``where``, ``keys``,
        ``target_ids``, ``line``, ``top`` and so on. All without.

    Raises
    ------
    WhyspecError : see :func:`flows.attribute.attribute_outliers`.
    """
    from engine.query.settings import QuerySettings
    from flows.attribute import attribute as attribute_store
    from flows.run.attribution_request import AttributionRequest
    from infra.settings import load_settings

    chosen = QuerySettings(**selection) if selection else None
    request = AttributionRequest(str(store), method, name, settings or {}, chosen)
    with ExitStack() as stack:
        return attribute_store(request, load_settings(), _observers(stack, progress))


def cluster(
    store: str, *, explanation: str = "default", progress: bool = True, **settings: Any
) -> xr.Dataset:
    """Group the outliers of a store by what makes them odd; returns what :meth:`whyspec.Store.clusters` does.

    Parameters
    ----------
    explanation : name of the set of explanations; its clustering has the same name unless another is given.
    settings : ``name``, ``clusters``, ``seed`` and so on, see
        :class:`engine.clustering.settings.ClusteringSettings`.

    Raises
    ------
    WhyspecError : see :func:`flows.cluster.cluster_explanations`.
    """
    from engine.clustering.settings import ClusteringSettings
    from flows.cluster import cluster as cluster_store
    from flows.interface.store import open_store

    chosen = ClusteringSettings(**{"name": explanation, **settings})
    with ExitStack() as stack:
        cluster_store(str(store), chosen, _observers(stack, progress), explanation)
    return open_store(store).clusters(chosen.name)


def report(
    store: str, output: str | Path = "whyspec.html", *, top: int = 12, explanation: str = "default"
) -> Path:
    """Write the report on a store, one HTML file; its path.

    Parameters
    ----------
    output : the file; replaced if it is there.
    top : number of outliers shown with their figure.
    explanation : name of the set of explanations that it shows.

    Raises
    ------
    WhyspecError : see :func:`engine.report.page.write_report`.
    """
    from engine.report.page import write_report

    write_report(str(store), Path(output), top, explanation)
    return Path(output)


def _request(release: str | Iterable[str], store: str, options: dict[str, Any]) -> RunRequest:
    from flows.run.request import RunRequest

    several = {name: _texts(options[name]) for name in ("models", "classes") if options.get(name) is not None}
    return RunRequest(release=_texts(release), store=str(store), **{**options, **several})


def _texts(values: Any) -> tuple[str, ...]:
    """Several texts or paths; one alone is one."""
    return (str(values),) if isinstance(values, str | Path) else tuple(map(str, values))


def _observers(stack: ExitStack, progress: bool) -> list[RunProgress]:
    if not progress:
        return []
    from flows.console import notes
    from flows.run.progress import RunProgress

    return [stack.enter_context(RunProgress(notes()))]
