"""The explanations of one spectrum by all sets of a store that have one, one under the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from engine.attribution.agreement import Agreement, agreements
from engine.store.reading import StoreView
from flows.console import facts
from flows.spectrum.explained_spectrum import ExplainedSpectrum
from flows.spectrum.stored_spectrum import StoredSpectra
from models.errors import ErrorKind, InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ExplainedSpectra:
    """A spectrum with one explanation or several, by the names of the sets that they are of."""

    by_name: Mapping[str, ExplainedSpectrum]

    @property
    def first(self) -> ExplainedSpectrum:
        """The run's own explanation; where there is none, that of the first set that has one."""
        return next(iter(self.by_name.values()))

    @property
    def agreement(self) -> tuple[Agreement, ...]:
        """How far they agree, of all pairs."""
        return agreements({name: each.explanation for name, each in self.by_name.items()})

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description: that of the first; of several also the others, and how far they agree."""
        name, *others = self.by_name
        if not others:
            return self.first.to_dict()
        return {
            **self.first.to_dict(),
            "explanation": name,
            "other_explanations": {each: self.by_name[each].to_dict() for each in others},
            "agreement": [each.to_dict() for each in self.agreement],
        }

    def show(self, console: Console) -> None:
        """Print them, and how far they agree."""
        for name, each in self.by_name.items():
            if len(self.by_name) > 1:
                console.print(f"Explanation {name}", style="bold")
            each.show(console)
        if agreement := self.agreement:
            rows = [(f"{each.first}, {each.second}", str(each)) for each in agreement]
            console.print(facts("Agreement", rows))

    def figure(self) -> Figure:
        """The figures of all, one under the other."""
        # Imported here: a command that draws nothing does without matplotlib.
        from engine.figures.explanation import explanations_figure

        explained = [(each.explanation, each.method) for each in self.by_name.values()]
        return explanations_figure(explained, self.first.score)

    def draw(self, path: Path) -> None:
        """Write the figure of all of them.

        Raises
        ------
        InputError : it cannot be written.
        """
        from engine.figures.figure_file import save_figure

        save_figure(self.figure(), path)


def stored_explanations(view: StoreView, key: str, name: str = "") -> ExplainedSpectra:
    """The latest explanations of a spectrum by a store's sets.

    Parameters
    ----------
    key : the spectrum's key, or a TARGETID (SPECOBJID) that one spectrum has.
    name : of a set; empty for all that have one.

    Raises
    ------
    InputError : there is no such spectrum, several, or it is not explained; or no such set.
    StoreError : the store is damaged.
    """
    found, missing = {}, []
    for each in [name] if name else view.explanation_sets():
        try:
            found[each] = StoredSpectra(view.with_explanation(each)).explanation(key)
        except InputError as error:
            if error.kind is not ErrorKind.NO_OUTLIER:
                raise
            missing.append(error)
    if not found:
        raise missing[0]
    return ExplainedSpectra(found)
