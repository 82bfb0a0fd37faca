"""The explanation of one spectrum, in the terminal and as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console

from engine.attribution.explanation import Explanation
from engine.attribution.signatures import signatures_in
from engine.figures.explanation import SpectrumScore
from flows.console import facts


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
