"""The command that compares methods of attribution and detectors: benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def benchmark(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("benchmark"),
    methods: str = "all",
    detectors: str = "tail,score,pca_scan,isolation_forest,local_outlier_factor",
    models: str = "desi-galaxy,sdss-galaxy",
    spectra: int = 200,
    hours: float = 0.6,
    seed: int = 5100,
    strengths: str = "10,20,40",
    threshold: float = 0.01,
    templates: Path | None = None,
    sky: Path | None = None,
    population: Literal["broad", "plain"] = "broad",
    rivals: int = 1000,
    workers: int = 2,
    plan: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Compare methods of attribution, and detectors, on simulated spectra whose anomalies are known.

    whyspec benchmark -o benchmark

    It simulates spectra, injects one anomaly into each, and has every method explain those that the model
    detects. First it explains one spectrum of each model by every method. From the cost it plans how many
    spectra each method gets. It writes benchmark.json and benchmark.md, and a record of every judgement. If
    it is killed, the same command continues.

    Parameters
    ----------
    output
        Directory for results and records.
    methods
        Names as whyspec methods lists them; all of them; names with settings, such as lime/width=32; or
        module:function of a module that is installed or on PYTHONPATH: a function of flux, ivar and redshift
        of one spectrum that returns a map. It is imported and run.
    detectors
        Of tail, score, pca_scan, isolation_forest, local_outlier_factor, or module:function: a function of
        flux, ivar (n by pixels) and redshift that returns n numbers, the higher the odder. none for none.
    models
        Names or directories of the scoring models that are explained.
    spectra
        Detected spectra to explain, of all models together.
    hours
        Budget, about. Costly methods are judged on fewer spectra. inf: all methods on all spectra.
    seed
        Of spectra and anomalies.
    strengths
        Of the anomalies in sigma, for an observer who knows shape and place; tried equally often.
    threshold
        Tail probability at or below which a spectrum counts as detected. Its clean twin must be above.
    templates
        Directory of redrock templates. Half of the sources come from them.
    sky
        Directory of real SDSS sky fibres (spec-*.fits). Without it the sky is modelled.
    population
        broad: wide in signal-to-noise, redshift, dust and lines, with the small flaws of real pipelines;
        plain: clean spectra as a survey selects them.
    rivals
        Clean spectra that pca_scan, isolation_forest and local_outlier_factor learn from, for each model.
    workers
        Processes, of one thread each.
    plan
        Show the plan and stop.
    json
        Write the results as JSON to standard output, too.
    """
    from engine.attribution.methods import METHODS
    from engine.benchmark.judged_spectra import JudgedSettings
    from engine.evaluation.held_out_spectra import HeldOutSettings
    from flows import option_types
    from flows.console import messages, notes, write_json
    from flows.evaluation import benchmark as flow

    request = flow.BenchmarkRequest(
        judged=JudgedSettings(
            HeldOutSettings(1, seed, templates, sky, population),
            option_types.decimals("--strengths", strengths),
            threshold,
        ),
        output=output,
        models=option_types.comma_list(models),
        methods=tuple(METHODS) if methods == "all" else option_types.comma_list(methods),
        detectors=() if detectors == "none" else option_types.comma_list(detectors),
        spectra=spectra,
        hours=hours,
        rivals=rivals,
        workers=workers,
    )
    if plan:
        flow.plan(request, notes())
        return 0
    results = flow.benchmark(request, notes())
    files = flow.save_benchmark(results, output)
    if json:
        write_json(results.to_dict())
    flow.show_benchmark(messages(json), results)
    for path in files:
        notes().print(f"Written: {path}", soft_wrap=True)
    return 0
