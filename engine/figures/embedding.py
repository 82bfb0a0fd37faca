"""Figures as ``data:`` URLs, so that the report needs no other file."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
from matplotlib.figure import Figure


def png_url(figure: Figure, dpi: int) -> str:
    """The figure as a PNG; its size in pixels is its size in inches times ``dpi``."""
    return f"data:image/png;base64,{_encoded(figure, 'png', dpi)}"


def svg_url(figure: Figure, dpi: int = 160) -> str:
    """The figure as an SVG, the same bytes for the same figure; ``dpi`` is for its dense parts."""
    with mpl.rc_context({"svg.hashsalt": "whyspec", "svg.fonttype": "path"}):
        return f"data:image/svg+xml;base64,{_encoded(figure, 'svg', dpi)}"


def _encoded(figure: Figure, image_format: str, dpi: int) -> str:
    # A date in the file would make equal reports differ.
    metadata = {"Date": None} if image_format == "svg" else {"Software": None}
    buffer = io.BytesIO()
    figure.savefig(buffer, format=image_format, dpi=dpi, metadata=metadata)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
