"""The command that brings in models of others: import-spender."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows import option_types


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
