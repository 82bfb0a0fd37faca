"""Colours of every figure. Okabe & Ito's set and a red-blue map that survive colour blindness and print."""

from __future__ import annotations

INK = "#1a1a1a"
MUTED = "#6f6f6f"
RAW = "#b9b9b9"
GRID = "#c9c9c9"
MASKED = "#ececec"
BASELINE = "#0072b2"
ODD = "#d55e00"
USUAL = "#56b4e9"
MARK = "#009e73"
DIVERGING = "RdBu_r"
CLUSTERS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6f6f6f", "#000000")
