"""The explanation of one spectrum, in the terminal, as JSON and as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from engine.attribution.signatures import signatures_in
from engine.figures.explained_spectrum import ExplainedSpectrum
from engine.figures.explanation import explanation_figure
from flows.console import facts
from models.atomic_files import atomic_file
from models.errors import ErrorKind, InputError

_FIGURES = (".png", ".pdf", ".svg")


def explanation_to_dict(spectrum: ExplainedSpectrum) -> dict[str, Any]:
    """A JSON-ready summary, maps left out."""
    rest = spectrum.peak_rest_wavelength
    return {
        "key": spectrum.key,
        "redshift": spectrum.redshift,
        "spectype": spectrum.spectype,
        "score": spectrum.score,
        "tail_probability": spectrum.tail_probability,
        "peak_wavelength": spectrum.peak_wavelength,
        "peak_rest_wavelength": rest,
        "peak_line": spectrum.peak_line,
        "peak_window": spectrum.peak_window,
        "signatures": [signature.label for signature in signatures_in(spectrum.signatures)],
        "attribution_at_peak": float(np.max(spectrum.combined)),
        "windows": list(spectrum.windows),
    }


def show_explanation(console: Console, spectrum: ExplainedSpectrum) -> None:
    """Print how odd the spectrum is and where."""
    rest = spectrum.peak_rest_wavelength
    line = f" ({spectrum.peak_line})" if spectrum.peak_line else ""
    console.print(
        facts(
            spectrum.key,
            [
                ("redshift", f"{spectrum.redshift:.5f} {spectrum.spectype}"),
                ("score", f"{spectrum.score:.3f}"),
                ("tail probability", f"{spectrum.tail_probability:.3g}: the share of usual spectra as odd"),
                (
                    "oddest at",
                    f"{spectrum.peak_wavelength:.1f} Å observed, {rest:.1f} Å rest{line}",
                ),
                ("scale", f"{spectrum.peak_window} pixels"),
            ],
        )
    )
    for signature in signatures_in(spectrum.signatures):
        console.print(f"{signature.label}: {signature.meaning}. {signature.remedy}", style="yellow")


def save_figure(spectrum: ExplainedSpectrum, path: Path) -> None:
    """Write the figure of an explanation.

    Raises
    ------
    InputError : the file's kind is not a figure's, or it cannot be written.
    """
    if path.suffix.lower() not in _FIGURES:
        raise InputError(
            "The figure's file name does not say what kind of figure it is.",
            where="--output",
            got=path,
            allowed=", ".join(_FIGURES),
            remedy="End the name in .png.",
            kind=ErrorKind.FIGURE_NAME,
        )
    try:
        with atomic_file(path) as partial:
            explanation_figure(spectrum).savefig(partial, format=path.suffix[1:].lower(), dpi=150)
    except OSError as error:
        raise InputError(
            "The figure cannot be written.",
            where=str(path),
            got=error,
            remedy="Name a file in a directory that exists and may be written to.",
            kind=ErrorKind.OUTPUT_UNWRITABLE,
        ) from error
