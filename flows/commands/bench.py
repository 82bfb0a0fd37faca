"""Commands that measure: bench occlusion, seams, read, plan, query, match, pipeline, spender, lime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console


class _Result(Protocol):
    """Results of a benchmark."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        ...


_Bench = TypeVar("_Bench", bound=_Result)

bench = App(
    name="bench",
    help="Measure what whyspec costs on this machine.\n\nwhyspec bench occlusion",
    help_epilogue="",
    help_format="plaintext",
    sort_key=100,  # after all others
)


@bench.command
def occlusion(
    *,
    model: str = "desi-galaxy",
    baselines: str = "8,32",
    presets: str = "paper,reference-code",
    windows: str = "1,4,16,64,256,1024",
    repeats: int = 5,
    sample: int = 64,
    masked: float = 0.0,
    device: str = "cpu",
    memory: int = 0,
    skip: str = "",
    spender_flow: Path | None = None,
    curves: Annotated[bool, Parameter(negative=())] = False,
    plot: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Seconds and memory per explained spectrum: by seams, by forward passes, as published.

    whyspec bench occlusion --baselines 8 -o bench.json

    It measures all of them in this process, in turn, on the same cores. It runs the slow ones on a sample of
    windows and multiplies up; the table says so. Quiet machines give better numbers. The
    approaches of others need their packages: pip install 'whyspec[bench]'.

    Parameters
    ----------
    model
        Name or directory of the scoring model.
    baselines
        Numbers of baselines, one table each.
    presets
        paper, reference-code or both, see whyspec run --help.
    windows
        Window widths in pixels, increasing.
    repeats
        Timed runs of everything; the quickest counts.
    sample
        Smallest number of windows in the samples that are multiplied up.
    masked
        Share of the spectrum's pixels that are masked, 0 to less than 1.
    device
        cpu, or an accelerator that torch sees, e.g. cuda.
    memory
        Bytes that an occlusion by seams may take; 0 for what explanations give it.
    skip
        Approaches to leave out: spender, captum or both.
    spender_flow
        File of spender's released flow weights; random weights, which are as fast, if there is none.
    curves
        Also measure how the seconds grow with spectra, baselines and wide windows.
    plot
        Draw these curves to a file: .png, .pdf or .svg. Implies --curves.
    output
        Write the results as JSON to this file.
    json
        Write the results as JSON to standard output.
    """
    import torch

    from engine.figures.figure_file import save_figure
    from flows import option_types
    from flows.bench.curves import curves_figure
    from flows.bench.devices import usable_device
    from flows.bench.files import check_outputs
    from flows.bench.occlusion import BenchSettings, bench_occlusion
    from flows.bench.tables import show_occlusion
    from flows.console import notes
    from infra.settings import load_settings, own_threads
    from models.weights import load_local_model

    check_outputs(output, plot)
    settings = BenchSettings(
        presets=option_types.presets(presets),
        baselines=option_types.numbers("--baselines", baselines),
        windows=option_types.windows(windows) or (),
        repeats=repeats,
        sample=sample,
        masked=masked,
        skip=option_types.comma_list(skip),
        curves=curves or plot is not None,
        memory_bytes=memory,
        spender_flow=spender_flow,
    )
    torch.set_num_threads(own_threads(load_settings()))
    with notes().status("load the model") as status:
        result = bench_occlusion(load_local_model(model), settings, usable_device(device), status.update)
    if plot is not None:
        save_figure(curves_figure(result), plot)
        notes().print(f"Written: {plot}", soft_wrap=True)
    return _finish(result, show_occlusion, output, json)


@bench.command
def seams(
    *,
    model: str = "desi-galaxy",
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("seams.png"),
) -> int:
    """Draw what a pasted window changes in every layer of a model: the work of occlusion by seams.

    whyspec bench seams -o seams.png

    A position of a layer that sees the baseline only, or the spectrum only, is known from one pass over
    either. Positions that see both sides of a seam are computed, once for all windows with that seam.

    Parameters
    ----------
    model
        Name or directory of the scoring model.
    output
        File of the picture: .png, .pdf or .svg.
    """
    from engine.figures.figure_file import check_figure, save_figure
    from flows.bench.seam_figure import seam_figure
    from flows.console import notes
    from models.weights import load_local_model

    check_figure(output)
    save_figure(seam_figure(load_local_model(model)), output)
    notes().print(f"Written: {output}", soft_wrap=True)
    return 0


@bench.command
def pipeline(
    *,
    directory: Path = Path("bench-pipeline"),
    spectra: int = 200_000,
    spectra_per_file: int = 500,
    distinct: int = 4_000,
    workers: int = 0,
    threshold: float = 0.001,
    windows: str | None = None,
    sample: int = 8,
    delay: float = 0.1,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """What Ray, the store and a start cost beyond the model's own compute and the decoding.

    whyspec bench pipeline --spectra 20000 -o pipeline.json

    It simulates a DESI release and runs a quarter of it and all of it as whyspec run does. It measures the
    parts that a run cannot do without in as many plain processes. 200,000 spectra take 20 GB of disk and
    about half an hour on two cores; the release is kept for the next time. Quiet machines give better
    numbers.

    Parameters
    ----------
    directory
        Directory for the release and the stores.
    spectra
        Number of rows of the release.
    spectra_per_file
        Number of rows of each file.
    distinct
        Number of simulated spectra; the others are copies with TARGETIDs of their own.
    workers
        Processes; 0 for one per CPU.
    threshold
        Tail probability at or below which a spectrum is explained.
    windows
        Window widths in pixels, increasing. Default: those of whyspec run.
    sample
        Number of files, and of explained spectra, on which each process measures the parts, twice.
    delay
        Seconds per request to a file, in the measurement of how reading and computing overlap.
    output
        Write the results as JSON to this file.
    json
        Write the results as JSON to standard output.
    """
    from flows import option_types
    from flows.bench.files import check_outputs
    from flows.bench.pipeline import PipelineSettings, bench_pipeline
    from flows.bench.tables import show_pipeline
    from flows.console import notes

    check_outputs(output, None)
    settings = PipelineSettings(
        directory.absolute(),
        spectra,
        spectra_per_file,
        distinct,
        workers,
        threshold,
        option_types.windows(windows),
        sample,
        delay,
    )
    with notes().status("begin") as status:
        result = bench_pipeline(settings, status.update)
    return _finish(result, show_pipeline, output, json)


@bench.command
def plan(
    *,
    directory: Path | None = None,
    files: int = 32_000,
    repeats: int = 3,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Seconds and memory to list and plan a release of many files.

    whyspec bench plan -o plan.json

    A DESI production is made of one simulated coadd that is linked into many directories. It is planned
    when all of it is new, when the store has it, when one file in a hundred has changed and some have
    vanished, and when it publishes no checksums. 32,000 files take half a gigabyte of disk for as long.

    Parameters
    ----------
    directory
        Directory for the release and the store, which are deleted afterwards. Default: the system's.
    files
        Coadd files of the release, 100 at least.
    repeats
        Timed runs of everything; the quickest counts.
    output
        Write the results as JSON to this file.
    json
        Write the results as JSON to standard output.
    """
    from flows import option_types
    from flows.bench.files import check_outputs
    from flows.bench.plan import bench_plan
    from flows.bench.tables import show_plan_bench
    from flows.console import notes

    check_outputs(output, None)
    option_types.at_least("--files", files, 100)
    option_types.at_least("--repeats", repeats, 1)
    with notes().status("begin") as status:
        result = bench_plan(directory, files, repeats, status.update)
    return _finish(result, show_plan_bench, output, json)


@bench.command
def read(
    *,
    spectra: int = 500,
    plate: int = 640,
    repeats: int = 7,
    skip: str = "",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Microseconds per spectrum from a file to arrays: whyspec, fitsio, astropy, desispec, specutils.

    whyspec bench read -o reading.json

    It simulates a coadd and a plate in a temporary directory. All approaches read them in turn, in this
    process, on one core. The approaches of others need their packages: pip install 'whyspec[bench]'.

    Parameters
    ----------
    spectra
        Number of spectra of the DESI coadd, which has resolution matrices: 0.45 MB each.
    plate
        Number of spectra of the SDSS plate: 0.11 MB each.
    repeats
        Timed runs of everything; the quickest counts.
    skip
        Approaches to leave out: fitsio, astropy, desispec, specutils or several.
    output
        Write the results as JSON to this file.
    json
        Write the results as JSON to standard output.
    """
    from flows import option_types
    from flows.bench.files import check_outputs
    from flows.bench.reading import ReadingSettings, bench_reading
    from flows.bench.tables import show_reading
    from flows.console import notes
    from models.weights import load_model

    check_outputs(output, None)
    settings = ReadingSettings(spectra, plate, repeats, option_types.comma_list(skip))
    cards = (load_model("desi-galaxy").card, load_model("sdss-galaxy").card)
    with notes().status("simulate") as status:
        result = bench_reading(cards, settings, status.update)
    return _finish(result, show_reading, output, json)


@bench.command
def spender(
    *,
    windows: int = 31,
    repeats: int = 5,
    threads: int = 1,
    spender_flow: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Milliseconds per window of an imported spender model, by whyspec and by spender itself.

    whyspec bench spender -o spender.json

    The same weights, of DESI's size, and the same windows: spender's modules take them one at a time, as the
    published code of the method does, whyspec's all at once. Needs spender: pip install 'whyspec[spender]'.

    Parameters
    ----------
    windows
        Number of pasted windows, each one pass of the model.
    repeats
        Timed runs of either; the quickest counts.
    threads
        Torch threads.
    spender_flow
        File of spender's released flow weights; random weights, which are as fast, if there is none.
    output
        Write the results as JSON to this file.
    json
        Write the results as JSON to standard output.
    """
    import torch

    from flows import option_types
    from flows.bench.files import check_outputs
    from flows.bench.spender import bench_spender
    from flows.bench.tables import show_spender
    from flows.console import notes

    check_outputs(output, None)
    for option, value in (("--windows", windows), ("--repeats", repeats), ("--threads", threads)):
        option_types.at_least(option, value, 1)
    torch.set_num_threads(threads)
    with notes().status("begin") as status:
        result = bench_spender(spender_flow, windows, repeats, status.update)
    return _finish(result, show_spender, output, json)


@bench.command
def query(
    *,
    rows: int = 1_000_000,
    repeats: int = 3,
    directory: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Seconds of queries to a catalogue of simulated rows, beside DuckDB alone on the same files.

    whyspec bench query --rows 10000000

    One row in a hundred is an explained outlier. Ten million rows take 2 GB of disk.

    Parameters
    ----------
    rows
        Rows of the catalogue.
    repeats
        Timed answers to each question; the quickest counts.
    directory
        Where the store is made, and deleted afterwards; default: the system's.
    output
        Write the results as JSON to this file.
    json
        Write the results as JSON to standard output.
    """
    from flows import option_types
    from flows.bench.files import check_outputs
    from flows.bench.query import bench_query
    from flows.bench.tables import show_query
    from flows.console import notes

    check_outputs(output, None)
    option_types.at_least("--rows", rows, 1000)
    option_types.at_least("--repeats", repeats, 1)
    with notes().status("begin") as status:
        result = bench_query(directory, rows, repeats, status.update)
    return _finish(result, show_query, output, json)


@bench.command
def match(
    *,
    rows: int = 1_000_000,
    objects: int = 1_000_000,
    repeats: int = 3,
    directory: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Seconds of a match of simulated spectra with simulated objects, beside astropy's search alone.

    whyspec bench match -o match.json

    From the table's file to the summary, by position and by name. Half of the objects lie beside a spectrum.

    Parameters
    ----------
    rows
        Spectra of the store.
    objects
        Rows of the table.
    repeats
        Timed matches of each kind; the quickest counts.
    directory
        Where store and table are made, and deleted afterwards; default: the system's.
    output
        Write the results as JSON to this file.
    json
        Write the results as JSON to standard output.
    """
    from flows import option_types
    from flows.bench.files import check_outputs
    from flows.bench.match import bench_match
    from flows.bench.tables import show_match_bench
    from flows.console import notes

    check_outputs(output, None)
    option_types.at_least("--rows", rows, 1000)
    option_types.at_least("--objects", objects, 10)
    option_types.at_least("--repeats", repeats, 1)
    with notes().status("begin") as status:
        result = bench_match(directory, rows, objects, repeats, status.update)
    return _finish(result, show_match_bench, output, json)


@bench.command
def lime(
    *,
    score: str = "ivar_chi2_all_100",
    samples: int = 5000,
    repeats: int = 5,
    threads: int = 1,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Processor seconds of LIME for one spectrum of a variational model, by whyspec and by Captum.

    whyspec bench lime -o lime.json

    The published settings on a model of the published size: 3,773 pixels, 151 segments. Captum has the same
    model, segments and replacement. It needs its package: pip install 'whyspec[bench]'.

    Parameters
    ----------
    score
        Reconstruction score that is explained.
    samples
        Coalitions that are scored.
    repeats
        Timed runs of each way; the quickest counts.
    threads
        Torch threads.
    output
        Write the results as JSON to this file.
    json
        Write the results as JSON to standard output.
    """
    import torch

    from flows import option_types
    from flows.bench.files import check_outputs
    from flows.bench.lime import bench_lime
    from flows.bench.tables import show_lime
    from flows.console import notes

    check_outputs(output, None)
    for option, value in (("--samples", samples), ("--repeats", repeats), ("--threads", threads)):
        option_types.at_least(option, value, 1)
    torch.set_num_threads(threads)
    with notes().status("begin") as status:
        result = bench_lime(score, samples, repeats, status.update)
    return _finish(result, show_lime, output, json)


def _finish(
    result: _Bench, show: Callable[[Console, _Bench], None], output: Path | None, as_json: bool
) -> int:
    """Write and show a result; the exit status."""
    from flows.bench.files import save_json
    from flows.console import messages, notes, write_json

    if output is not None:
        save_json(result.to_dict(), output)
    if as_json:
        write_json(result.to_dict())
    show(messages(as_json), result)
    if output is not None:
        notes().print(f"Written: {output}", soft_wrap=True)
    return 0
