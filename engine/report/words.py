"""Numbers as words, as the report shows them."""

from __future__ import annotations


def share(part: int, whole: int) -> str:
    """``part`` of ``whole`` in per cent; a dash where there is nothing."""
    return f"{part / whole:.1%}" if whole else "–"


def said(label: str) -> str:
    """A label as words, ``no_response`` as ``no response``."""
    return label.replace("_", " ")
