"""Match: a store beside a table of known objects, for people who work in Python."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from flows.interface.answer import Answer
from flows.interface.notebook_page import facts_page, facts_text

if TYPE_CHECKING:
    import pandas as pd

    from engine.match.match import Match as StoreMatch
    from engine.match.summary import ClassMatch, MatchSummary


@dataclass(frozen=True, eq=False, repr=False)
class Match:
    """Which spectra of a store are of which object of a table."""

    _match: StoreMatch

    @cached_property
    def summary(self) -> MatchSummary:
        """The match in numbers."""
        return self._match.summary

    @property
    def classes(self) -> pd.DataFrame:
        """A row for each class of the table, and one for all: see :class:`engine.match.summary.ClassMatch`.

        Intervals are three columns, such as ``recovery``, ``recovery_low`` and ``recovery_high``.
        """
        import pandas as pd

        every = (*self.summary.classes, self.summary.everything)
        return pd.DataFrame([_flat(each) for each in every]).set_index("name")

    @cached_property
    def matched(self) -> Answer:
        """Spectra that have an object, oddest first: see :meth:`engine.match.match.Match.matched`."""
        return Answer(self._match.matched())

    @cached_property
    def new(self) -> Answer:
        """Outliers without an object, oddest first, as a query answers."""
        return Answer(self._match.new())

    def __repr__(self) -> str:
        return facts_text(f"Match with {self.summary.table}", self._facts())

    def _repr_html_(self) -> str:
        return facts_page(self.summary.table, self._facts())

    def _facts(self) -> list[tuple[str, object]]:
        summary = self.summary
        return [
            ("objects", f"{summary.everything.objects:,} of {summary.rows:,} rows"),
            ("in the store", f"{summary.objects:,}, with {summary.matched:,} of {summary.spectra:,} spectra"),
            ("outliers", f"{summary.outliers:,}: {summary.known:,} known, {summary.new:,} new"),
            ("classes", ", ".join(each.name or "none" for each in summary.classes) or "none"),
        ]


def _flat(each: ClassMatch) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in asdict(each).items():
        if isinstance(value, dict):
            flat |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
        else:
            flat[name] = value
    return flat
