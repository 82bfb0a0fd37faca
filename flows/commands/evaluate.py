"""Commands that evaluate a model and its explanations: evaluate, ablation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def evaluate(
    model: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("evaluation"),
    spectra: int = 300,
    seed: int = 1,
    strengths: str = "3,5,10,20,40",
    kinds: str = "",
    templates: Path | None = None,
    sky: Path | None = None,
    population: Literal["broad", "plain"] = "broad",
    explain: int = 4,
    rivals: int = 3000,
    labelled: Path | None = None,
    fill_card: Path | None = None,
    threads: int | None = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Inject anomalies of known strength into spectra that the model never saw, and see what it finds.

    whyspec evaluate desi-galaxy -o evaluation

    It writes results.json, its tables (detection.md) and a figure (detection.png), and for explanations
    explanations.json, .md and .png. Models of the same grid, class and redshifts get the same spectra from
    the same seed, so that they can be compared. It takes some minutes on two cores, of which the rivals
    take one.

    Parameters
    ----------
    model
        Name or directory of the scoring model.
    output
        Directory for the results; earlier ones in it are replaced.
    spectra
        Clean spectra to simulate. Every kind is injected into each at every strength.
    seed
        Seed of spectra and anomalies.
    strengths
        Strengths of the anomalies in sigma, for an observer who knows shape and place.
    kinds
        Names of the anomalies, as in results.json. Default: all.
    templates
        Directory of redrock templates. Half of the sources come from them.
    sky
        Directory of real SDSS sky fibres (spec-*.fits). A broad population gets the half that no shipped
        model was trained with. Without it the sky is modelled.
    population
        broad: wide in signal-to-noise, redshift, dust and lines, with the small flaws of real pipelines;
        plain: clean spectra as a survey selects them.
    explain
        Number of spectra of each kind, at 10, 20 and 40 sigma, that every method explains; 0 for none.
    rivals
        Clean spectra of another seed to train rivals on: a principal component analysis whose residual is
        scanned, an isolation forest, a local outlier factor. A third of them says what is usual.
    labelled
        Directory of real spectra with a manifest.csv of columns file and label. Spectra of other labels are
        compared with those labelled "ordinary galaxy", and these with the simulated clean spectra; written
        to labelled.json and labelled.png.
    fill_card
        Directory to write the model to with these rates in its card, in place of an earlier evaluation's; its
        own directory changes the model itself. The model gets a new digest, and to a store it is another
        model: do this before stores are made with it.
    threads
        Torch threads; 0 or left out for one per CPU.
    json
        Write the results as JSON to standard output, too.
    """
    from engine.evaluation.explained_injections import ExplanationSettings
    from engine.evaluation.held_out_spectra import HeldOutSettings
    from flows import option_types
    from flows.console import messages, notes, write_json
    from flows.evaluation.evaluate import KINDS, EvaluationRequest, save_results
    from flows.evaluation.evaluate import evaluate as run_evaluation
    from flows.evaluation.evaluate import fill_card as fill
    from flows.evaluation.evaluation_table import show_evaluation
    from flows.evaluation.explained_evaluation import explain_evaluation, save_explanations, show_explanations
    from flows.evaluation.labelled_spectra import save_labelled, show_labelled
    from flows.evaluation.output import make_output
    from infra.settings import load_settings, own_threads

    request = EvaluationRequest(
        model,
        HeldOutSettings(spectra, seed, templates, sky, population),
        option_types.decimals("--strengths", strengths),
        option_types.comma_list(kinds) or KINDS,
        labelled,
        rivals,
    )
    option_types.at_least("--explain", explain, 0)
    settings = ExplanationSettings(max(explain, 1))
    make_output(output)
    threads_used = own_threads(load_settings(**option_types.given(threads=threads)))
    evaluation = run_evaluation(request, threads_used, notes())
    found = evaluation.detection
    files: tuple[Path, ...] = save_results(found, output)
    if evaluation.labelled is not None:
        files += save_labelled(evaluation.labelled, output)
    results = None
    if explain:
        results = explain_evaluation(evaluation.model, evaluation.clean, settings, notes())
        files += save_explanations(results, output)
    if json:
        write_json(found.to_dict())
    show_evaluation(messages(json), found)
    if results is not None:
        show_explanations(messages(json), results)
    if evaluation.labelled is not None:
        show_labelled(messages(json), evaluation.labelled)
    if fill_card is not None:
        card = fill(model, found, fill_card)
        notes().print(f"Card filled: {card.name} in {fill_card}, now {card.digest}")
    for path in files:
        notes().print(f"Written: {path}", soft_wrap=True)
    return 0


def ablation(
    model: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("ablation"),
    parts: str = "headline,cost,methods,baselines",
    spectra: int = 160,
    explained: int = 2,
    headlines: int = 9,
    baselines: int = 1,
    seed: int = 1,
    templates: Path | None = None,
    sky: Path | None = None,
    threads: int = 1,
) -> int:
    """Measure what windows, their combination and baselines do to explanations, and what these cost.

    whyspec ablation desi-galaxy -o ablation

    Explains injected anomalies. Takes some twenty minutes on two cores.

    Parameters
    ----------
    model
        Name or directory of the scoring model.
    output
        Directory for JSON, tables and figures; earlier ones in it are replaced.
    parts
        headline: a spectrum with a double-peaked line and a step; cost: against gradients; methods: every
        combination over windows, every window alone, and other methods; baselines: number and source.
    spectra
        Clean spectra to simulate.
    explained
        methods: detected spectra of each kind and strength to explain.
    headlines
        headline: spectra with both anomalies, at most.
    baselines
        baselines: spectra of each kind to explain with up to 64 baselines.
    seed
        Of spectra and anomalies.
    templates
        Directory of redrock templates, from which half of the sources are then drawn.
    sky
        Directory of real SDSS sky fibres (spec-*.fits); modelled sky if left out.
    threads
        Torch threads; one leaves the costs of methods comparable.
    """
    from engine.evaluation.held_out_spectra import HeldOutSettings
    from flows import option_types
    from flows.console import notes
    from flows.evaluation.ablation import AblationRequest, ablate
    from flows.evaluation.output import make_output

    numbers = {"explained": explained, "headlines": headlines, "baselines": baselines, "threads": threads}
    for name, value in numbers.items():
        option_types.at_least(f"--{name}", value, 1)
    request = AblationRequest(
        model,
        HeldOutSettings(spectra, seed, templates, sky),
        option_types.comma_list(parts),
        explained,
        headlines,
        baselines,
    )
    make_output(output)
    for path in ablate(request, output, threads, notes()):
        notes().print(f"Written: {path}", soft_wrap=True)
    return 0
