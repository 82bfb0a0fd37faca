"""Sets of explanations of a store, for people who work in Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from flows.interface.explanation import Explanation

if TYPE_CHECKING:
    import xarray as xr

    from engine.store.reading import StoreView
    from flows.spectrum.stored_spectrum import StoredSpectra


@dataclass(frozen=True, eq=False)
class ExplanationSet:
    """The explanations of a store's outliers by one method: those of the runs, or a further set."""

    name: str
    _view: StoreView

    @property
    def method(self) -> str:
        """Name of the method."""
        return self._view.configuration.attribution.method

    @property
    def settings(self) -> dict[str, object]:
        """Settings of the method."""
        return self._view.configuration.attribution.to_dict()

    @property
    def scales(self) -> tuple[int, ...]:
        """Widths of the maps, in pixels."""
        from engine.store.schema import scales_of

        return scales_of(self._view.configuration)

    def __len__(self) -> int:
        """Number of explanations, with those of spectra that newer ones replace."""
        return self._view.outliers

    def explanation(self, key: str | int) -> Explanation:
        """The latest explanation of a spectrum, by its key or its TARGETID (SPECOBJID).

        Raises
        ------
        InputError : there is no such spectrum, several, or the set does not explain it.
        """
        return Explanation(self._spectra.explanation(str(key)))

    @cached_property
    def outliers(self) -> xr.Dataset:
        """All explanations along ``outlier``, lazily: see :func:`flows.interface.lazy_arrays.outliers`."""
        from flows.interface.lazy_arrays import outliers

        return outliers(self._view)

    @property
    def maps(self) -> xr.DataArray:
        """Attribution of all outliers, lazily: ``outlier``, ``window``, ``wavelength``."""
        return self.outliers["maps"]

    @cached_property
    def _spectra(self) -> StoredSpectra:
        from flows.spectrum.stored_spectrum import StoredSpectra

        return StoredSpectra(self._view)

    def __str__(self) -> str:
        attribution = self._view.configuration.attribution
        return f"{self.name}: {len(self):,} by {self.method}, {attribution}"


class ExplanationSets(Mapping[str, ExplanationSet]):
    """The sets of a store by name, that of the runs first."""

    def __init__(self, view: StoreView) -> None:
        self._view = view
        self._opened: dict[str, ExplanationSet] = {}

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self._view.explanation_sets())

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> ExplanationSet:
        """The set of that name.

        Raises
        ------
        InputError : there is none; the text names those that there are.
        """
        if name not in self._opened:
            self._opened[name] = ExplanationSet(name, self._view.with_explanation(name))
        return self._opened[name]
