"""The command that explains a store's outliers by one more method."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Group, Parameter

from flows.commands.selection import ALL_OUTLIERS, Selection

_HOW = Group("Where and how it runs", sort_key=2)


def attribute(
    store: str,
    /,
    *,
    method: str | None = None,
    setting: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    name: str = "",
    query: str = "",
    selection: Selection = ALL_OUTLIERS,
    model: Annotated[tuple[str, ...], Parameter(negative=(), group=_HOW)] = (),
    memory: Annotated[str | None, Parameter(group=_HOW)] = None,
    executor: Annotated[Literal["ray", "serial"], Parameter(group=_HOW)] = "ray",
    workers: Annotated[int, Parameter(group=_HOW)] = 0,
    wait: Annotated[float, Parameter(group=_HOW)] = 0.0,
    plan: Annotated[bool, Parameter(negative=(), group=_HOW)] = False,
    rates: Annotated[str | None, Parameter(group=_HOW)] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Explain the outliers of a store by a further method. What its runs explained stays.

    whyspec attribute odd.zarr --method lime --top 100

    It reads no source file and scores nothing anew. Run it again if it was killed, or when a run has found
    more outliers: finished work is not repeated. Query, show, report and cluster take --explanation.

    Parameters
    ----------
    store
        Path or URL of the store.
    method
        Name of the method of attribution; whyspec methods lists all. Default: that of the set --name, else
        repair.
    setting
        A setting of the method, NAME=VALUE; repeat --setting for more. Lists have commas between. Default: as
        the set has it, else those that whyspec methods shows.
    name
        Name of the set of explanations. Default: that of the method.
    query
        Condition in names of columns, as whyspec query takes it, e.g. "z < 0.3 and tail < 1e-4". The options
        below choose outliers, too. Default: all outliers.
    model
        Names or directories of scoring models that have moved.
    memory
        Memory for the attribution of one spectrum in each process, e.g. 512MB.
    executor
        ray: one process per CPU or GPU, here or on a cluster. serial: this process alone. A few blocks run in
        this process anyway.
    workers
        Number of processes; 0 for all CPUs or GPUs.
    wait
        Seconds to wait for a run on the store to end; inf for as long as it takes.
    plan
        Say what it would do and take (outliers, hours, bytes, memory), and stop. It writes nothing.
    rates
        With --plan: seconds of one core, e.g. explaining=6.5, or a file, see whyspec plan --help. Default:
        those of another machine, as the plan says.
    json
        Write the summary as JSON to standard output.
    """
    from engine.query.settings import QuerySettings
    from flows import option_types
    from flows.attribute import attribute as attribute_store
    from flows.attribute import plan_attribution
    from flows.console import messages, notes, report_name, show_next, write_json
    from flows.run.attribution_request import AttributionRequest
    from flows.run.progress import RunProgress
    from flows.store.attribution_table import show_attribution, show_attribution_plan
    from infra.settings import load_settings

    chosen = selection.settings(query)
    request = AttributionRequest(
        store=store,
        method=method,
        name=name,
        settings=option_types.settings(setting),
        selection=None if chosen == QuerySettings() else chosen,
        models=option_types.models(model) or (),
        executor=executor,
        workers=workers,
        wait=option_types.seconds(wait),
    )
    settings = load_settings(**option_types.memory(memory))
    if plan:
        forecast = plan_attribution(request, settings, rates)
        if json:
            write_json(forecast.to_dict())
        else:
            show_attribution_plan(messages(json), forecast)
        return 0
    option_types.only_with("--rates", rates, "--plan")
    with RunProgress(notes()) as progress:
        summary = attribute_store(request, settings, [progress])
    if json:
        write_json(summary.to_dict())
    console = messages(json)
    show_attribution(console, summary)
    if summary.in_set:
        named = ("--explanation", summary.name)
        show_next(
            console,
            ("query", store, *named),
            ("report", store, *named, "-o", report_name(store, summary.name)),
        )
    return 0
