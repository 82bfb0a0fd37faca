"""Status of a store's row: whether it has a score, and why not."""

from __future__ import annotations

from enum import IntEnum


class RowStatus(IntEnum):
    """Code of a row. Stores hold the codes, so their numbers never change."""

    PADDING = 0
    SCORED = 1
    SKY_FIBRE = 2
    BAD_FIBRE = 3
    NO_TARGET = 4
    NO_REDSHIFT = 5
    NO_GOOD_PIXELS = 6
    NON_FINITE_FLUX = 7
    TOO_FEW_GOOD_PIXELS = 8
    NON_POSITIVE_NORMALISATION = 9
    REDSHIFT_OUT_OF_RANGE = 10
    CLASS_NOT_MODELLED = 11
    FILE_UNREADABLE = 12
    NON_FINITE_SCORE = 13
    REPEATED_TARGET = 14

    @property
    def label(self) -> str:
        """Name in tables and in the attribute ``flag_meanings``."""
        return self.name.lower()

    @property
    def meaning(self) -> str:
        """One sentence for tables and reports."""
        return _MEANINGS[self]


_MEANINGS = {
    RowStatus.PADDING: "no spectrum: the unused end of a run's last block",
    RowStatus.SCORED: "scored by the model",
    RowStatus.SKY_FIBRE: "a sky fibre, not an object",
    RowStatus.BAD_FIBRE: "the fibre was broken, unplugged or otherwise flagged bad",
    RowStatus.NO_TARGET: "no target was assigned to the fibre (TARGETID not positive)",
    RowStatus.NO_REDSHIFT: "no redshift: no redrock row, or not finite",
    RowStatus.NO_GOOD_PIXELS: "every pixel is masked or has zero inverse variance",
    RowStatus.NON_FINITE_FLUX: "the flux of every unmasked pixel is NaN or infinite",
    RowStatus.TOO_FEW_GOOD_PIXELS: "too few good pixels, overall or in the normalisation window",
    RowStatus.NON_POSITIVE_NORMALISATION: "the median flux in the normalisation window is not positive",
    RowStatus.REDSHIFT_OUT_OF_RANGE: "the redshift lies outside the range the model was trained on",
    RowStatus.CLASS_NOT_MODELLED: "no model of the run scores this spectral class",
    RowStatus.FILE_UNREADABLE: "the source file could not be read when its block ran",
    RowStatus.NON_FINITE_SCORE: "the model's score is not finite",
    RowStatus.REPEATED_TARGET: "an earlier row of the same file has this TARGETID, fibre or CATALOGID",
}
