"""The command on a single spectrum: explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def explain(
    file: str,
    /,
    *,
    target_id: Annotated[int | None, Parameter(allow_leading_hyphen=True)] = None,
    row: int | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    model: str | None = None,
    preset: Literal["nearest", "paper", "reference-code"] = "nearest",
    windows: str = "1,4,16,64,256,1024",
    baselines: int = 8,
    memory: str | None = None,
    threads: int | None = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Score and explain one spectrum of a file, outlier or not.

    whyspec explain coadd-main-dark-10000.fits --target-id 39627835576420141 -o why.png

    Needs no store and starts no Ray. A file of redshifts is looked for beside it.

    Parameters
    ----------
    file
        A file of spectra of any survey; path or URL.
    target_id
        TARGETID of the spectrum.
    row
        Row of the spectrum in the file, from 0, instead of the TARGETID.
    output
        Figure to write: .png, .pdf or .svg.
    model
        Name or directory of the scoring model. Default: the one that ships for the survey and the spectrum's
        class.
    preset
        nearest, paper or reference-code, see whyspec run --help.
    windows
        Window widths in pixels, increasing.
    baselines
        Number of typical spectra into which pieces of the spectrum are pasted.
    memory
        Memory for the occlusion, e.g. 512MB. Default: what suits the device.
    threads
        Torch threads; 0 or left out for one per CPU.
    json
        Write score and peak as JSON to standard output.
    """
    from engine.attribution.occlusion.settings import OcclusionSettings
    from engine.figures.explanation import explanation_figure
    from engine.figures.figure_file import check_figure, save_figure
    from flows import option_types
    from flows.console import messages, notes, write_json
    from flows.spectrum.explain_spectrum import SpectrumRequest, explain_spectrum
    from flows.spectrum.explanation_table import explanation_to_dict, show_explanation
    from infra.settings import load_settings, own_threads

    if output is not None:
        check_figure(output)
    occlusion = OcclusionSettings(
        preset=preset, windows=option_types.windows(windows) or (), baselines=baselines
    )
    settings = load_settings(**option_types.memory(memory), **option_types.given(threads=threads))
    request = SpectrumRequest(file, target_id, row, model, occlusion, settings.occlusion_memory)
    with notes().status("score and explain"):
        score, explanation = explain_spectrum(request, own_threads(settings))
    if json:
        write_json(explanation_to_dict(score, explanation))
    show_explanation(messages(json), score, explanation)
    if output is not None:
        save_figure(explanation_figure(explanation, score), output)
        notes().print(f"Figure: {output}")
    return 0
