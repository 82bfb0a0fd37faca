"""Summary of a match: of each class how many objects the store has, and how many of them are odd."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.match.intervals import NO_INTERVAL, effective_number, share
from engine.match.matched_spectra import MatchedSpectra
from engine.match.objects import KnownObjects
from models.interval import Interval

ALL = "all"
"""What all classes together are called."""

_Choice = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """What became of the objects of one class.

    Attributes
    ----------
    name : of the class; empty where the table gives none.
    objects : of the table; in_store : of these, those with a selected spectrum.
    scored : of these, those with a scored one; outliers : of these, those with an outlier.
    recovery : share of the scored objects that are outliers.
    spectra : scored spectra of the class; oddest : of these, those among the oddest spectra.
    expected : of as many spectra drawn from all scored ones, in the mean.
    enrichment : ``oddest`` over ``expected``.
    """

    name: str
    objects: int
    in_store: int
    scored: int
    outliers: int
    recovery: Interval
    spectra: int
    oddest: int
    expected: float
    enrichment: Interval


@dataclass(frozen=True, slots=True)
class MatchSummary:
    """A match in numbers.

    Attributes
    ----------
    table, matched_by, column : what was matched; radius : arcsec, None for a match by name.
    rows : of the table; skipped : those that cannot be matched; repeated : those that repeat an earlier one.
    spectra, scored, outliers : of the store, as far as they were selected.
    without_position : spectra that cannot be matched by position.
    top : how many of the oddest are compared with as many drawn from all scored.
    objects, matched : objects that have a spectrum, and spectra that have an object.
    several_spectra : objects with more than one spectrum: all of these count.
    several_objects : spectra with more than one object within the radius: the nearest counts.
    by_chance : matches that remain when the spectra are moved; None for a match by name.
    known, new : outliers with an object, and without.
    everything : all classes together; classes : each of several.
    remark : what to look at; empty for nothing.
    """

    table: str
    matched_by: str
    column: str
    radius: float | None
    rows: int
    skipped: int
    repeated: int
    spectra: int
    scored: int
    outliers: int
    without_position: int
    top: int
    objects: int
    matched: int
    several_spectra: int
    several_objects: int
    by_chance: int | None
    known: int
    new: int
    everything: ClassMatch
    classes: tuple[ClassMatch, ...]
    remark: str

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return asdict(self)


def summarised(
    known: KnownObjects, found: MatchedSpectra, top: int | None, radius: float | None
) -> MatchSummary:
    """The numbers of a match.

    Parameters
    ----------
    top : how many of the oddest are compared; None for as many as outliers. radius : degrees.
    """
    objects = found.pairs.objects
    each = np.bincount(objects, minlength=len(known))
    oddest = found.outliers if top is None else min(top, found.all_scored)
    counts = _Counts(known, found, oddest)
    known_outliers = int(found.outlier.sum())
    return MatchSummary(
        table=str(known.path),
        matched_by=known.matched_by,
        column=known.column,
        radius=None if radius is None else radius * 3600,
        rows=known.rows,
        skipped=known.skipped,
        repeated=known.repeated,
        spectra=found.spectra,
        scored=found.all_scored,
        outliers=found.outliers,
        without_position=found.pairs.without_position,
        top=oddest,
        objects=int((each > 0).sum()),
        matched=len(objects),
        several_spectra=int((each > 1).sum()),
        several_objects=found.pairs.several,
        by_chance=found.pairs.by_chance,
        known=known_outliers,
        new=found.outliers - known_outliers,
        everything=counts.of_class(ALL, np.ones(len(known), dtype=np.bool_)),
        classes=tuple(counts.of_class(name, known.codes == code) for code, name in enumerate(known.classes))
        if known.classes != ("",)
        else (),
        remark=known.remark,
    )


class _Counts:
    """Counts of objects and of their spectra, one array element per object."""

    def __init__(self, known: KnownObjects, found: MatchedSpectra, oddest: int) -> None:
        self._scored, self._oddest = found.all_scored, oddest
        first = (found.rank > 0) & (found.rank <= oddest)

        def of_objects(among: _Choice) -> NDArray[np.int64]:
            return np.bincount(found.pairs.objects[among], minlength=len(known))

        self._spectra = of_objects(np.ones(len(first), dtype=np.bool_))
        self._scored_spectra = of_objects(found.scored)
        self._outliers = of_objects(found.outlier)
        self._first = of_objects(first)

    def of_class(self, name: str, among: _Choice) -> ClassMatch:
        """Of the chosen objects."""
        spectra = self._scored_spectra[among]
        scored, outliers = int((spectra > 0).sum()), int((self._outliers[among] > 0).sum())
        total, oddest = int(spectra.sum()), int(self._first[among].sum())
        drawn = self._oddest / self._scored if self._scored else 0.0
        independent = effective_number(spectra)
        enrichment = NO_INTERVAL
        if total and drawn:
            enrichment = share(independent * oddest / total, independent).times(1 / drawn)
        return ClassMatch(
            name=name,
            objects=int(among.sum()),
            in_store=int((self._spectra[among] > 0).sum()),
            scored=scored,
            outliers=outliers,
            recovery=share(outliers, scored),
            spectra=total,
            oddest=oddest,
            expected=total * drawn,
            enrichment=enrichment,
        )
