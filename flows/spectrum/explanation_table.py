"""The explanation of one spectrum, in the terminal, as JSON and as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from engine.attribution.explanation import Explanation
from engine.attribution.signatures import signatures_in
from engine.figures.explanation import SpectrumScore, explanation_figure
from flows.console import facts
from models.atomic_files import atomic_file
from models.errors import ErrorKind, InputError

_FIGURES = (".png", ".pdf", ".svg")


def explanation_to_dict(score: SpectrumScore, explanation: Explanation) -> dict[str, Any]:
    """A JSON-ready summary, maps left out."""
    return {
        "key": explanation.key,
        "redshift": explanation.redshift,
        "spectype": score.spectype,
        "score": score.score,
        "tail_probability": score.tail_probability,
        "peak_wavelength": explanation.peak_wavelength,
        "peak_rest_wavelength": explanation.peak_rest_wavelength,
        "peak_line": explanation.peak_line,
        "peak_window": explanation.peak_scale,
        "signatures": [signature.label for signature in signatures_in(explanation.signatures)],
        "attribution_at_peak": float(np.max(explanation.combined)),
        "windows": list(explanation.scales),
    }


def show_explanation(console: Console, score: SpectrumScore, explanation: Explanation) -> None:
    """Print how odd the spectrum is and where."""
    rest = explanation.peak_rest_wavelength
    line = f" ({explanation.peak_line})" if explanation.peak_line else ""
    console.print(
        facts(
            explanation.key,
            [
                ("redshift", f"{explanation.redshift:.5f} {score.spectype}"),
                ("score", f"{score.score:.3f}"),
                ("tail probability", f"{score.tail_probability:.3g}: the share of usual spectra as odd"),
                (
                    "oddest at",
                    f"{explanation.peak_wavelength:.1f} Å observed, {rest:.1f} Å rest{line}",
                ),
                ("scale", f"{explanation.peak_scale} pixels"),
            ],
        )
    )
    for signature in signatures_in(explanation.signatures):
        console.print(f"{signature.label}: {signature.meaning}. {signature.remedy}", style="yellow")


def save_figure(score: SpectrumScore, explanation: Explanation, path: Path) -> None:
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
            explanation_figure(explanation, score).savefig(partial, format=path.suffix[1:].lower(), dpi=150)
    except OSError as error:
        raise InputError(
            "The figure cannot be written.",
            where=str(path),
            got=error,
            remedy="Name a file in a directory that exists and may be written to.",
            kind=ErrorKind.OUTPUT_UNWRITABLE,
        ) from error
