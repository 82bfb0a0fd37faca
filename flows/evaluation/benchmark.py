"""The benchmark of methods of attribution and of detectors, without store, Ray or Prefect."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from engine.attribution.method import MethodSettings
from engine.attribution.method_choice import chosen_settings
from engine.attribution.methods import DEFAULT_METHOD, METHODS
from engine.benchmark.choice import Choice, choose
from engine.benchmark.contenders import (
    RANDOM,
    Contender,
    MapFunction,
    own_contender,
    random_contender,
    stranger,
)
from engine.benchmark.detectors import (
    OWN_DETECTORS,
    DetectorFunction,
    DetectorRate,
    detector_rates,
    own_detector,
)
from engine.benchmark.field import Field, tasks_of, trial, work
from engine.benchmark.judged_spectra import JudgedSettings, judged_spectra
from engine.benchmark.quotas import Cost, Quota
from engine.benchmark.quotas import quotas as quotas_of
from engine.benchmark.records import Records
from engine.benchmark.results import BenchmarkResults, collected
from engine.benchmark.tables import (
    benchmark_markdown,
    choice_text,
    cost_table,
    detector_table,
    plan_table,
    truth_table,
)
from engine.evaluation.learnt import learn
from engine.evaluation.rivals import Rivals
from engine.evaluation.training_spectra import training_spectra
from flows import option_types
from flows.console import counting, show_whole
from flows.evaluation.evaluate import LEAST_RIVALS
from flows.evaluation.explained_evaluation import rich_table
from flows.evaluation.named_functions import is_function_name, named_function
from flows.evaluation.output import make_output, write_output
from models.atomic_files import write_durably
from models.digests import canonical_json, digest_of
from models.errors import ConfigurationError, ErrorKind
from models.json_text import read_json
from models.output_files import writing
from models.spectrum_model import SpectrumModel
from models.weights import load_model

RESULTS, TABLES, PLAN, RECORDS = "benchmark.json", "benchmark.md", "plan.json", "records"
MODELS = ("desi-galaxy", "sdss-galaxy")
SPARED = 0.85
"""Share of the time that judging gets; the rest is for simulating, detectors and wrong forecasts."""


@dataclass(frozen=True)
class BenchmarkRequest:
    """What to compare, and how.

    Attributes
    ----------
    judged : which spectra.
    output : directory of results and records.
    models : names or directories.
    methods : names of methods, with settings if need be (``lime/width=32/samples=500``), ``module:function``,
        settings, or functions, see :mod:`engine.benchmark.contenders`.
    detectors : likewise, see :mod:`engine.benchmark.detectors`.
    spectra : detected ones, of all models together.
    hours : that it may take, about; infinite for every method on every spectrum.
    rivals : clean spectra that the rivals among the detectors learn from.
    workers : processes.
    """

    judged: JudgedSettings
    output: Path
    models: tuple[str, ...] = MODELS
    methods: tuple[str | MethodSettings | MapFunction, ...] = tuple(METHODS)
    detectors: tuple[str | DetectorFunction, ...] = OWN_DETECTORS
    spectra: int = 200
    hours: float = 0.6
    rivals: int = 1000
    workers: int = 1

    def __post_init__(self) -> None:
        if self.spectra < len(self.models) or not self.models or not self.methods or self.workers < 1:
            raise _setting(
                "spectra, models, methods, workers", f"{self.spectra} spectra", "at least one each"
            )
        if not self.hours > 0:
            raise _setting("--hours", self.hours, "above 0; inf for every method on every spectrum")
        if not LEAST_RIVALS <= self.rivals <= 100_000:
            raise _setting("--rivals", self.rivals, f"{LEAST_RIVALS} to 100000")

    @property
    def per_model(self) -> int:
        """Detected spectra of each model, at most."""
        return -(-self.spectra // len(self.models))


@dataclass(frozen=True, eq=False)
class Contest:
    """Methods and the fields where they compete, ready to be judged."""

    request: BenchmarkRequest
    fields: tuple[Field, ...]
    contenders: tuple[Contender, ...]

    @property
    def records(self) -> Records:
        """Of what is finished."""
        return Records(self.request.output / RECORDS)

    def settings(self) -> dict[str, Any]:
        """JSON-ready, what was asked."""
        return {
            "spectra": self.request.judged.to_dict(),
            "wanted": self.request.spectra,
            "hours": self.request.hours if math.isfinite(self.request.hours) else None,
            "methods": {each.name: dict(each.settings) for each in self.contenders},
        }

    @property
    def digest(self) -> str:
        """Of all that a plan depends on."""
        models = [each.model.card.digest for each in self.fields]
        return digest_of(
            canonical_json({**self.settings(), "models": models, "workers": self.request.workers})
        )


def benchmark(request: BenchmarkRequest, console: Console) -> BenchmarkResults:
    """Simulate, plan, judge; progress goes to ``console``. Called again, it goes on where it was.

    Raises
    ------
    InputError : a model, templates or a function is not there, or the output cannot be written.
    ConfigurationError : a method does not suit a model, or a name is there twice.
    """
    detectors = _named_detectors(request.detectors)
    with _one_thread():
        contest = prepared(request, console)
        quotas = planned(contest, console)
        judge(contest, quotas, console)
        rates = _rates(contest, detectors, console)
    return collected(contest.settings(), contest.fields, contest.contenders, quotas, contest.records, rates)


def plan(request: BenchmarkRequest, console: Console) -> None:
    """Tell on how many spectra each method would stand, and keep that for :func:`benchmark`.

    Raises
    ------
    InputError, ConfigurationError : as :func:`benchmark`.
    """
    with _one_thread():
        planned(prepared(request, console), console)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Seconds are those of one processor, and numbers do not depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def prepared(request: BenchmarkRequest, console: Console) -> Contest:
    """Models loaded, the directory made, spectra simulated and scored."""
    contenders = contenders_of(request.methods)
    models = [load_model(name) for name in request.models]
    for model in models:
        _refuse(contenders, model)
    make_output(request.output)
    fields = []
    for model in models:
        with counting(console, f"simulate for {model.card.name}") as progress:
            tried = judged_spectra(model, request.judged, request.per_model, progress)
        fields.append(Field(model, request.judged, tried))
    return Contest(request, tuple(fields), contenders)


def contenders_of(methods: tuple[str | MethodSettings | MapFunction, ...]) -> tuple[Contender, ...]:
    """What is judged: those that are named, and a random map.

    Raises
    ------
    ConfigurationError : there is no such method, or two of the same name.
    InputError : there is no such function.
    """
    found = [*(_contender(each) for each in methods), random_contender()]
    _refuse_twins([each.name for each in found])
    return tuple(found)


def _contender(given: str | MethodSettings | MapFunction) -> Contender:
    if isinstance(given, MethodSettings):
        return own_contender(given)
    if isinstance(given, str) and not is_function_name(given):
        name, *settings = given.split("/")
        return own_contender(chosen_settings(name, option_types.settings(tuple(settings))))
    function: MapFunction = named_function(given) if isinstance(given, str) else given
    return stranger(_name_of(function), function)


def _named_detectors(detectors: tuple[str | DetectorFunction, ...]) -> Mapping[str, DetectorFunction | None]:
    """Functions by name; None for one of whyspec's own, which needs a model."""
    found: list[tuple[str, DetectorFunction | None]] = []
    for each in detectors:
        if isinstance(each, str) and not is_function_name(each):
            if each not in OWN_DETECTORS:
                raise _setting("--detectors", each, ", ".join((*OWN_DETECTORS, "module:function")))
            found.append((each, None))
        else:
            function = named_function(each) if isinstance(each, str) else each
            found.append((_name_of(function), function))
    _refuse_twins([name for name, _ in found])
    return dict(found)


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")


def _refuse_twins(names: list[str]) -> None:
    if twins := sorted({name for name in names if names.count(name) > 1}):
        reserved = f"each name once; {RANDOM} is the random map's"
        raise _setting("names of methods and detectors", ", ".join(twins), reserved)


def _refuse(contenders: tuple[Contender, ...], model: SpectrumModel) -> None:
    for each in contenders:
        each.refuse(model.card, model.calibration_size)


def planned(contest: Contest, console: Console) -> dict[str, Quota]:
    """On how many spectra each method is judged: measured once, shown, and kept for a resumed benchmark.

    The first spectrum of every model is explained by every method to know what it costs.
    """
    path = contest.request.output / PLAN
    known = _kept_plan(path, contest.digest)
    if known is not None:
        console.print("The plan of before is kept.")
        return known
    costs: dict[str, Cost] = {}
    with counting(console, "try every method once") as progress:
        for each, cost in zip(
            contest.contenders, trial(contest.fields, contest.contenders, contest.records), strict=True
        ):
            costs[each.name] = cost
            progress(len(costs), len(contest.contenders))
    request = contest.request
    seconds = SPARED * 3600 * request.hours * request.workers / len(contest.fields)
    found = quotas_of(costs, request.per_model, seconds, DEFAULT_METHOD)
    body = {"digest": contest.digest, "quotas": {name: each.to_dict() for name, each in found.items()}}
    with writing(path):
        write_durably(path, canonical_json(body))
    show_whole(console, rich_table(plan_table(costs, found, len(contest.fields))))
    return found


def _kept_plan(path: Path, digest: str) -> dict[str, Quota] | None:
    try:
        body = read_json(path.read_bytes())
        if body["digest"] != digest:
            return None
        return {
            name: Quota(int(each["judged"]), int(each["controlled"]), float(each["seconds"]))
            for name, each in body["quotas"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # made anew


def judge(contest: Contest, quotas: dict[str, Quota], console: Console) -> None:
    """All that the quotas say, in one process or several."""
    workers = contest.request.workers
    with _others(contest.request, quotas), counting(console, "explain and judge") as progress:
        total = _judgements(contest, quotas) // workers
        for done in work(contest.fields, contest.contenders, quotas, contest.records, (0, workers)):
            progress(min(done, total), total)


def _judgements(contest: Contest, quotas: dict[str, Quota]) -> int:
    return sum(
        len(tasks_of(place, contest.contenders, quotas))
        for each in contest.fields
        for place in range(len(each.detected))
    )


@contextmanager
def _others(request: BenchmarkRequest, quotas: dict[str, Quota]) -> Iterator[None]:
    """The other workers, which do their shares meanwhile."""
    if request.workers == 1:
        yield
        return
    # Fresh processes: a fork would inherit the threads of torch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(request.workers - 1, mp_context=context) as pool:
        shares = [pool.submit(_share, request, quotas, worker) for worker in range(1, request.workers)]
        yield
        for each in shares:
            each.result()


def _share(request: BenchmarkRequest, quotas: dict[str, Quota], worker: int) -> None:
    """What one of several workers does: the spectra are made anew from the seed, and results are records."""
    parent = os.getppid()
    with _one_thread():
        contest = prepared(request, Console(quiet=True))
        for _ in work(contest.fields, contest.contenders, quotas, contest.records, (worker, request.workers)):
            if os.getppid() != parent:
                return  # it was killed: nobody waits for this


def _rates(
    contest: Contest, detectors: Mapping[str, DetectorFunction | None], console: Console
) -> tuple[DetectorRate, ...]:
    found: list[DetectorRate] = []
    for each in contest.fields:
        learnt = _Rivals(each, contest.request)
        functions = {
            name: own_detector(name, each.model, learnt) if function is None else function
            for name, function in detectors.items()
        }
        with counting(console, f"detect in {each.model.card.name}") as progress:
            found += detector_rates(each.model.card.name, each.tried, functions, progress)
    return tuple(found)


class _Rivals:
    """Rivals of a model, learnt when they are first asked for."""

    def __init__(self, field: Field, request: BenchmarkRequest) -> None:
        self._field = field
        self._request = request
        self._learnt: Rivals | None = None

    def __call__(self) -> Rivals:
        if self._learnt is None:
            judged = replace(self._request.judged.held_out, spectra=1)
            spectra = training_spectra(self._field.model.card, judged, self._request.rivals)
            self._learnt = learn(spectra).rivals
        return self._learnt


def save_benchmark(results: BenchmarkResults, directory: Path) -> tuple[Path, ...]:
    """Write results and tables; earlier ones are replaced.

    Raises
    ------
    InputError : they cannot be written.
    """
    text = json.dumps(results.to_dict(), allow_nan=False) + "\n"
    return write_output(directory, {RESULTS: text, TABLES: benchmark_markdown(results, choose(results))})


def show_benchmark(console: Console, results: BenchmarkResults) -> None:
    """Print what is pointed at, what it costs, and what the rule says; the rest is in the files."""
    choice: Choice = choose(results)
    tables = [truth_table(results, choice), cost_table(results)]
    for table in (*tables, *([detector_table(results)] if results.detectors else [])):
        console.print()
        show_whole(console, rich_table(table))
    console.print()
    console.print(choice_text(choice).replace("**", ""), soft_wrap=True)


def _setting(name: str, got: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        "A setting of the benchmark is out of range.",
        where=name,
        got=got,
        allowed=allowed,
        remedy="Give values that are allowed.",
        kind=ErrorKind.BENCHMARK_SETTINGS,
    )
