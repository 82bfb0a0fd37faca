"""Commands on a single spectrum: explain, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from flows.spectrum.explained_spectra import ExplainedSpectra
    from flows.spectrum.explained_spectrum import ExplainedSpectrum

Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]
Json = Annotated[bool, Parameter(name="--json", negative=())]


def explain(
    file: str,
    /,
    *,
    target_id: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    row: int | None = None,
    redshift: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None,
    spectral_class: Annotated[str, Parameter(name="--class")] = "",
    air: Annotated[bool, Parameter(negative=())] = False,
    output: Output = None,
    model: str | None = None,
    redshifts: Path | None = None,
    method: str | None = None,
    setting: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    preset: Literal["nearest", "paper", "reference-code"] | None = None,
    baseline_source: Literal["nearest", "random"] | None = None,
    spacing: Literal["sparse", "dense", "tiled"] | None = None,
    combination: Literal["mean", "significance", "inverse-variance", "inverse-deviation"] | None = None,
    windows: str | None = None,
    offsets: str | None = None,
    baselines: int | None = None,
    memory: str | None = None,
    threads: int | None = None,
    json: Json = False,
) -> int:
    """Score and explain one spectrum of a file, outlier or not.

    whyspec explain coadd-main-dark-10000.fits --target-id 39627835576420141 -o why.png

    whyspec explain mine.csv --redshift 0.1 --class GALAXY -o why.png

    Needs no store and starts no Ray. A file of redshifts is looked for beside it. Beside the surveys' files
    it reads DESI's spectra-*, SDSS's spSpec-* of DR7, and CSV, ECSV or Parquet with wavelength, flux and ivar
    or error.

    Parameters
    ----------
    file
        A file of spectra of any survey, or one of your own; path or URL.
    target_id
        TARGETID of the spectrum.
    row
        Row of the spectrum in the file, from 0, instead of the TARGETID.
    redshift
        Its redshift, instead of what the file says.
    spectral_class
        Its class, GALAXY, QSO or STAR, instead of what the file says. Default of a table: GALAXY.
    air
        A table's wavelengths are in air; otherwise they are in vacuum.
    output
        Figure to write: .png, .pdf or .svg.
    model
        Name or directory of the scoring model. Default: the one that ships for the survey and the spectrum's
        class.
    redshifts
        Table of redshifts that go before the pipeline's, see whyspec run --help.
    method
        Name of the method of attribution; whyspec methods lists all. Default: occlusion.
    setting
        A setting of the method, NAME=VALUE; repeat --setting for more. Lists have commas between. Default:
        those that whyspec methods shows.
    preset
        Of occlusion: nearest, paper or reference-code, see whyspec run --help. Default: nearest.
    baseline_source
        nearest or random; this and the next two override the preset, see whyspec run --help.
    spacing
        Of windows: sparse, dense or tiled.
    combination
        Of the maps: mean, significance, inverse-variance or inverse-deviation.
    windows
        Window widths in pixels, increasing. Default: 1,4,16,64,256,1024.
    offsets
        First border of each width's tiles in pixels.
    baselines
        Number of typical spectra into which pieces of the spectrum are pasted. Default: 8.
    memory
        Memory for the attribution, e.g. 512MB. Default: what suits the device.
    threads
        Torch threads. Default: one.
    json
        Write score, peak, cautions and warnings as JSON to standard output.
    """
    from engine.attribution.method_choice import chosen_settings
    from flows import option_types
    from flows.console import notes
    from flows.spectrum.chosen_spectrum import chosen_spectrum
    from flows.spectrum.spectrum_choice import SpectrumRequest
    from infra.settings import load_settings

    _check(output)
    occlusion = {
        "baseline_source": baseline_source,
        "spacing": spacing,
        "combination": combination,
        "windows": option_types.windows(windows),
        "offsets": option_types.offsets(offsets),
        "baselines": baselines,
    }
    attribution = chosen_settings(method, option_types.settings(setting), preset=preset, options=occlusion)
    settings = load_settings(**option_types.memory(memory), **option_types.given(threads=threads))
    identifier = None if target_id is None else option_types.identifier(target_id)
    request = SpectrumRequest(
        file,
        identifier,
        row,
        model,
        attribution,
        settings.attribution_memory,
        redshift,
        spectral_class.strip().upper(),
        "air" if air else "vacuum",
        option_types.path(redshifts),
    )
    with notes().status("score and explain"):
        chosen = chosen_spectrum(request)
        # Imported only now: it takes longer than to find that a file is not there.
        from flows.spectrum.explain_spectrum import explain_spectrum

        explained = explain_spectrum(chosen, request, settings.threads or 1)
    return _finish(explained, output, json)


def show(store: str, key: str, /, *, explanation: str = "", output: Output = None, json: Json = False) -> int:
    """Show and draw the explanations of a spectrum in a store; the spectrum's file is not needed.

    whyspec show odd.zarr iron/main/dark/10000/39627835576420141 -o why.png

    Where whyspec attribute has explained it by further methods, all are shown, and how far they agree.

    Parameters
    ----------
    store
        Path or URL of the store.
    key
        Key of the spectrum, as whyspec query shows it, or its TARGETID (SDSS: SPECOBJID).
    explanation
        Name of the one set of explanations to show; default is that of the runs. Left out: all.
    output
        Figure to write: .png, .pdf or .svg.
    json
        Write score, peak and cautions as JSON to standard output.
    """
    from engine.store.reading import StoreView
    from flows.spectrum.explained_spectra import stored_explanations

    _check(output)
    return _finish(stored_explanations(StoreView.open(store), key, explanation), output, json)


def _check(output: Path | None) -> None:
    if output is not None:
        from engine.figures.figure_file import check_figure

        check_figure(output)


def _finish(explained: ExplainedSpectrum | ExplainedSpectra, output: Path | None, as_json: bool) -> int:
    """Show, write and draw; the exit status."""
    from flows.console import messages, notes, write_json

    if as_json:
        write_json(explained.to_dict())
    explained.show(messages(as_json))
    if output is not None:
        explained.draw(output)
        notes().print(f"Figure: {output}")
    return 0
