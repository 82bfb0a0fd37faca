"""Comparison: the explanations of one spectrum by all sets of a store, and where they agree."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flows.interface.explanation import Explanation
from flows.interface.notebook_page import facts_page, facts_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from engine.attribution.agreement import Agreement
    from flows.spectrum.explained_spectra import ExplainedSpectra


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The explanations of one spectrum by the sets of a store that explain it, that of the runs first."""

    _explained: ExplainedSpectra

    @property
    def key(self) -> str:
        """What names the spectrum."""
        return self._explained.first.explanation.key

    @property
    def explanations(self) -> Mapping[str, Explanation]:
        """The explanations by the names of their sets."""
        return MappingProxyType({name: Explanation(each) for name, each in self._explained.by_name.items()})

    @property
    def agreement(self) -> tuple[Agreement, ...]:
        """How far they agree, of all pairs; empty where one set alone explains the spectrum."""
        return self._explained.agreement

    def to_dict(self) -> dict[str, Any]:
        """What ``whyspec show --json`` writes: everything but the arrays."""
        return self._explained.to_dict()

    def plot(self, path: str | Path | None = None) -> Figure:
        """The figures of all, one under the other. Written to ``path`` too, if given.

        Raises
        ------
        InputError : the name does not end in .png, .pdf or .svg, or cannot be written to.
        """
        figure = self._explained.figure()
        if path is not None:
            from engine.figures.figure_file import save_figure

            save_figure(figure, Path(path))
        return figure

    def __repr__(self) -> str:
        return facts_text(f"Explanations of {self.key}", self._facts())

    def _repr_html_(self) -> str:
        picture = io.BytesIO()
        self.plot().savefig(picture, format="png", dpi=100)
        return facts_page(self.key, self._facts(), picture.getvalue())

    def _facts(self) -> list[tuple[str, object]]:
        facts: list[tuple[str, object]] = []
        for name, each in self._explained.by_name.items():
            places = "; ".join(map(str, each.explanation.places)) or "no place"
            facts.append((name, f"by {each.method}: {places}"))
        return [*facts, *((f"{each.first}, {each.second}", str(each)) for each in self.agreement)]
