"""Commands that make a model of another one: adapt, import-spender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows import option_types


def adapt(
    release: Annotated[tuple[str, ...], Parameter(negative=())],
    /,
    *,
    model: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    limit: int = 10_000,
    outliers: float = 0.03,
    cache: Path | None = None,
    cache_size: str = "8GB",
    name: str = "",
    seed: int = 0,
    layout: str = "",
    threads: int | None = None,
) -> int:
    """Bring a model to the spectra of a release: its network stays, its score is fitted anew.

    whyspec adapt release --model desi-galaxy -o my-galaxies

    Outliers among the spectra are recognised and left out. It needs some 1,300 spectra of the model's
    classes and redshifts. If it is killed, run it again: it ends with the same bytes.

    Parameters
    ----------
    release
        One directory, or files of spectra; paths or URLs.
    model
        Name of a shipped model, or the directory of one of the same kind.
    output
        Directory for the model: model.safetensors, card.json and adapted.png, which shows what changed.
    limit
        Largest number of spectra; a hash of their objects chooses them.
    outliers
        Largest share of the spectra that is taken for outliers, 0 to 0.05.
    cache
        Directory for the prepared spectra. Default: below the model's directory, removed at the end.
    cache_size
        Largest size of the prepared spectra, e.g. 500MB or 8GB.
    name
        Name of the model; that of its directory if left out.
    seed
        Seed of everything random.
    layout
        Name of the release's layout; recognised if left out.
    threads
        Spectra that are scored at once; 0 or left out for one per CPU.
    """
    from engine.training.request import AdaptingRequest
    from flows.adapt import adapt_to_release
    from flows.console import notes, show_next
    from flows.training.progress import TrainingBars, show_card
    from infra.settings import load_settings, own_threads
    from models.training.adapting import MOST_OUTLIERS

    option_types.at_least("--limit", limit, 1)
    option_types.between("--outliers", outliers, 0.0, MOST_OUTLIERS)
    request = AdaptingRequest(
        release=tuple(release),
        directory=str(output),
        name=name or output.resolve().name,
        model=model,
        layout=layout,
        limit=limit,
        outliers=outliers,
        cache=str(cache) if cache else "",
        cache_bytes=option_types.number_of_bytes("--cache-size", cache_size),
        seed=seed,
        threads=own_threads(load_settings(**option_types.given(threads=threads))),
    )
    with TrainingBars(notes()) as bars:
        card = adapt_to_release(request, [bars])
    show_card(notes(), card, output)
    show_next(notes(), ("run", *release, "--store", "odd.zarr", "--model", output))
    return 0


def import_spender(
    files: Annotated[tuple[Path, ...], Parameter(negative=())],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    name: str = "",
    classes: str = "GALAXY",
    instrument: Literal["desi", "sdss", "boss"] | None = None,
    calibrate: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    limit: int = 5_000,
    layout: str = "",
    threads: int | None = None,
) -> int:
    """Make a scoring model of spender's published weights.

    whyspec import-spender galaxyae.pt galaxyflow.pt -o spender-desi --calibrate release

    It executes nothing in the files and does not need spender. An explanation takes full forward passes:
    choose few --windows or the preset reference-code for whyspec run.

    Parameters
    ----------
    files
        The autoencoder's file and the flow's, as published at huggingface.co/pmelchior/spender.
    output
        Directory for the model: model.safetensors and card.json; new or empty.
    name
        Name of the model; that of its directory if left out.
    classes
        Spectral classes it was trained on, e.g. GALAXY; all for every class.
    instrument
        Instrument of the training spectra, for files that do not say their wavelengths.
    calibrate
        A release, or files. Their spectra say which scores are usual. Default: latents drawn from the flow
        say so, as far as the flow describes the spectra that will be scored.
    limit
        Largest number of spectra to calibrate on, taken evenly over the release's files.
    layout
        Name of the release's layout; recognised if left out.
    threads
        Torch threads; 0 or left out for one per CPU.
    """
    from flows.console import notes, show_next
    from flows.training.import_spender import SpenderRequest, import_from
    from flows.training.progress import show_card
    from infra.settings import load_settings, own_threads

    option_types.at_least("--limit", limit, 1)
    request = SpenderRequest(
        files=files,
        directory=output,
        name=name or output.resolve().name,
        classes=option_types.classes(classes) or (),
        instrument=instrument or "",
        calibrate=calibrate,
        limit=limit,
        layout=layout,
        threads=own_threads(load_settings(**option_types.given(threads=threads))),
    )
    with notes().status("import") as status:
        card = import_from(request, status.update)
    show_card(notes(), card, output)
    preset = ("--preset", "reference-code")
    show_next(notes(), ("run", "RELEASE", "--store", "odd.zarr", "--model", output, *preset))
    return 0
