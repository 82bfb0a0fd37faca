"""The false discovery rate of a selection: how many of its spectra chance alone would select."""

from __future__ import annotations


def false_discovery_rate(threshold: float, scored: int, selected: int) -> float | None:
    """Share of the selected that may be expected by chance, 0 to 1; None where nothing is selected.

    Of ``scored`` usual spectra the share ``threshold`` has a tail probability at most that small. Against the
    ``selected`` it is the rate that Benjamini & Hochberg (1995, J. R. Stat. Soc. B 57, 289) control, for all
    spectra taken as usual: the true rate is lower by the share of spectra that are not.
    """
    return min(threshold * scored / selected, 1.0) if selected else None
