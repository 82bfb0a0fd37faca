"""Benchmark from Python: methods and detectors compared, your own functions among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from engine.attribution.method import MethodSettings
    from engine.benchmark.choice import Choice
    from engine.benchmark.results import BenchmarkResults

_COLUMNS = ("method", "model", "measure", "value", "low", "high", "count")


@dataclass(frozen=True, eq=False, repr=False)
class Benchmark:
    """What a benchmark found.

    Attributes
    ----------
    results : all of it; ``results.to_dict()`` is what benchmark.json holds.
    """

    results: BenchmarkResults

    @cached_property
    def choice(self) -> Choice:
        """Marks, and the default method by the rule of decision 51."""
        from engine.benchmark.choice import choose

        return choose(self.results)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each method, model and measure: a number, its 95 % interval, how many spectra it is of.

        The model ``all`` is all of them together.
        """
        import pandas as pd

        from engine.benchmark.measures import MEASURES

        rows = []
        for method in self.results.methods:
            for name in (None, *self.results.models):
                for measure in MEASURES.values():
                    found = method.estimate(measure, name)
                    numbers = (found.value, found.low, found.high, found.count)
                    rows.append((method.name, name or "all", measure.name, *numbers))
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def markdown(self) -> str:
        """All tables, as benchmark.md has them."""
        from engine.benchmark.tables import benchmark_markdown

        return benchmark_markdown(self.results, self.choice)

    def __repr__(self) -> str:
        methods = ", ".join(each.name for each in self.results.methods)
        return f"Benchmark of {methods} on {len(self.results.detected)} spectra"


def benchmark(
    methods: Sequence[str | MethodSettings | Callable[..., Any]] | None = None,
    detectors: Sequence[str | Callable[..., Any]] = (),
    *,
    output: str | Path = "benchmark",
    models: Sequence[str] = ("desi-galaxy", "sdss-galaxy"),
    spectra: int = 200,
    hours: float = 0.6,
    seed: int = 5100,
    strengths: Sequence[float] = (10.0, 20.0, 40.0),
    threshold: float = 0.01,
    rivals: int = 1000,
) -> Benchmark:
    """Compare methods of attribution, and detectors, on simulated spectra whose anomalies are known.

    Called again with the same ``output`` it goes on where it was. It runs in this process, on one thread.

    Parameters
    ----------
    methods : names, settings of methods, or functions of flux (N,), ivar (N,) and redshift that return a map
        (N,), positive where a pixel makes the spectrum odd; all methods of whyspec if None. A function is
        known by its name: give a changed one another name, or another ``output``.
    detectors : names, or functions of flux (n, N), ivar (n, N) and redshift (n,) that return (n,), the higher
        the odder.
    output : directory of results and records.
    models, spectra, hours, seed, strengths, threshold, rivals : see ``whyspec benchmark --help``.

    Raises
    ------
    WhyspecError : see :func:`flows.evaluation.benchmark.benchmark`. A function that fails on a spectrum is no
        error: results count it.
    """
    from engine.attribution.methods import METHODS
    from engine.benchmark.judged_spectra import JudgedSettings
    from engine.evaluation.held_out_spectra import HeldOutSettings
    from flows.console import notes
    from flows.evaluation.benchmark import BenchmarkRequest, save_benchmark
    from flows.evaluation.benchmark import benchmark as run

    request = BenchmarkRequest(
        judged=JudgedSettings(HeldOutSettings(1, seed), tuple(map(float, strengths)), threshold),
        output=Path(output),
        models=tuple(map(str, models)),
        methods=tuple(METHODS) if methods is None else tuple(methods),
        detectors=tuple(detectors),
        spectra=spectra,
        hours=hours,
        rivals=rivals,
    )
    found = run(request, notes())
    save_benchmark(found, request.output)
    return Benchmark(found)
