"""Store: what a run wrote, for people who work in Python."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.interface.answer import Answer
from flows.interface.explanation import Explanation
from flows.interface.notebook_page import facts_page, facts_text
from flows.interface.spectrum import Spectrum

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from astropy.table import Table

    from engine.store.reading import StoreView
    from flows.interface.comparison import Comparison
    from flows.interface.explanation_set import ExplanationSets
    from flows.interface.match import Match
    from flows.spectrum.stored_spectrum import StoredSpectra


DEFAULT_EXPLANATION = "default"
"""Name of the explanations that runs make."""


@dataclass(frozen=True, eq=False, repr=False)
class Store:
    """A store as it was when it was opened; open it again to see what a run has added since."""

    _view: StoreView

    @property
    def url(self) -> str:
        """Where it is."""
        return self._view.url

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that scored it."""
        return tuple(model.name for model in self._view.configuration.models)

    @property
    def wavelength(self) -> NDArray[np.float64]:
        """(N,) pixel centres of all its spectra, observed vacuum Angstrom."""
        return self._view.wavelength

    def __len__(self) -> int:
        """Number of its spectra, with those that newer ones replace."""
        return self._view.spectra

    def query(
        self,
        *,
        target_ids: Iterable[int] = (),
        keys: Iterable[str] = (),
        top: int | None = None,
        redshift: tuple[float, float] | None = None,
        cluster: int | None = None,
        clustering: str = "default",
        place: str = "",
        line: str = "",
        cause: str = "",
        instrument: tuple[float, float] | None = None,
        cautions: Iterable[str] = (),
        without_cautions: Iterable[str] = (),
        targets: str | Path | None = None,
        near: tuple[float | str, float | str, str] | None = None,
        moc: str | None = None,
        where: str = "",
        observed: str = "",
        classes: Iterable[str] = (),
        fibers: Iterable[int] = (),
        zwarn: int | None = None,
        snr: tuple[float, float] | None = None,
        status: str = "",
        superseded: bool = False,
        order: Iterable[str] = (),
        columns: Iterable[str] = (),
        explanation: str = "",
    ) -> Answer:
        """Spectra that fulfil all conditions that are given, oddest first; without any, all outliers.

        For the conditions see :class:`engine.query.query.QuerySettings`, for the columns of the answer
        :func:`engine.query.query.query`. ``targets`` is a table's path, ``near`` right ascension, declination
        and radius such as ``(150.1, 2.2, "5arcmin")``, ``moc`` a region's path or text. ``explanation`` names
        the set of explanations whose places, cause and cautions are asked for.

        Raises
        ------
        ConfigurationError : a condition makes no sense.
        InputError : there is no such cluster or clustering.
        StoreError : the store is damaged.
        """
        from engine.query.conditions.moc import read_moc
        from engine.query.conditions.near import parse_cone
        from engine.query.query import QuerySettings, answer
        from engine.query.target_list import read_target_list

        settings = QuerySettings(
            target_ids=tuple(map(int, target_ids)),
            keys=_texts(keys),
            top=top,
            redshift=redshift,
            cluster=cluster,
            clustering=clustering,
            place=place,
            line=line,
            cause=cause,
            instrument=instrument,
            cautions=_texts(cautions),
            without_cautions=_texts(without_cautions),
            targets=None if targets is None else read_target_list(Path(targets)),
            near=None if near is None else parse_cone(str(near[0]), str(near[1]), near[2]),
            moc=None if moc is None else read_moc(moc),
            where=where,
            observed=observed,
            classes=_texts(classes),
            fibers=tuple(fibers),
            zwarn=zwarn,
            snr=snr,
            status=status,
            superseded=superseded,
            order=_texts(order),
            columns=_texts(columns),
            explanation=explanation,
        )
        return Answer(answer(self._view, settings))

    def match(
        self,
        table: str | Path | pd.DataFrame | Table,
        *,
        near: str = "",
        ra: str = "",
        dec: str = "",
        id_column: str = "",
        class_column: str = "",
        where: str = "",
        cone: tuple[float | str, float | str, str] | None = None,
        moc: str | None = None,
        top: int | None = None,
    ) -> Match:
        """Compare the store with a table of known objects: which outliers are known, which are new.

        Parameters
        ----------
        table : path of a FITS, Parquet, VOTable, ECSV or CSV file; or a pandas or astropy table.
        near : radius of a match by position such as ``"1arcsec"``; empty for a match by name.
        ra, dec, id_column : columns of positions and of names; empty for the usual ones.
        class_column : column of classes; empty for none.
        where, cone, moc : which spectra are looked at, as in a query.
        top : how many of the oddest are compared with as many drawn from all; None for as many as outliers.

        Raises
        ------
        InputError : the table cannot be read or lacks a column; the store has no positions.
        ConfigurationError : the radius has no unit, or the selection looks at what makes spectra odd.
        StoreError : the store is damaged.
        """
        from engine.match.match import match
        from engine.match.settings import MatchSettings
        from engine.query.conditions.moc import read_moc
        from engine.query.conditions.near import parse_cone, parse_radius
        from flows.interface.match import Match

        settings = MatchSettings(
            radius=parse_radius(near) if near else None,
            id_column=id_column,
            ra=ra,
            dec=dec,
            class_column=class_column,
            where=where,
            cone=None if cone is None else parse_cone(str(cone[0]), str(cone[1]), cone[2]),
            moc=None if moc is None else read_moc(moc),
            top=top,
        )
        return Match(match(self._view, table, settings))

    def explanation(self, key: str | int, name: str = DEFAULT_EXPLANATION) -> Explanation:
        """The latest explanation of a spectrum, by its key or its TARGETID (SPECOBJID).

        Parameters
        ----------
        name : of the set of explanations.

        Raises
        ------
        InputError : there is no such spectrum, several, it is not explained, or there is no such set.
        """
        return self.explanations[name].explanation(key)

    @cached_property
    def explanations(self) -> ExplanationSets:
        """The sets of explanations by name: ``default`` of the runs, and what ``whyspec attribute`` added."""
        from flows.interface.explanation_set import ExplanationSets

        return ExplanationSets(self._view)

    def compare(self, key: str | int) -> Comparison:
        """The explanations of a spectrum by all sets that explain it, and where they agree.

        Raises
        ------
        InputError : there is no such spectrum, several, or it is not explained.
        """
        from flows.interface.comparison import Comparison
        from flows.spectrum.explained_spectra import stored_explanations

        return Comparison(stored_explanations(self._view, str(key)))

    def spectrum(self, key: str | int) -> Spectrum:
        """A spectrum in physical units: what the store keeps of an outlier; of others, from their file.

        Raises
        ------
        InputError : there is no such spectrum, several, or its file cannot be read.
        """
        rows = self._spectra.rows(str(key))
        if self._spectra.outlier(rows) is not None:
            return Explanation(self._spectra.explained(rows)).spectrum
        from flows.interface.files import read

        row = rows.iloc[0]
        return read(row["source"], row=int(row["source_row"]))

    @cached_property
    def outliers(self) -> xr.Dataset:
        """The runs' explanations along ``outlier``, lazily: see :func:`flows.interface.lazy_arrays.outliers`.

        Those of another set are ``store.explanations[name].outliers``.
        """
        return self.explanations[DEFAULT_EXPLANATION].outliers

    @property
    def maps(self) -> xr.DataArray:
        """Attribution of all outliers, lazily: ``outlier``, ``window``, ``wavelength``."""
        return self.outliers["maps"]

    def clusters(self, name: str = "default") -> xr.Dataset:
        """A clustering of the outliers: see :func:`flows.interface.lazy_arrays.clusters`.

        Raises
        ------
        InputError : the store has no clustering of that name.
        """
        from engine.clustering.stored import explanation_of
        from flows.interface.lazy_arrays import clusters

        return clusters(self._view.with_explanation(explanation_of(self._view, name)), name)

    @cached_property
    def _spectra(self) -> StoredSpectra:
        from flows.spectrum.stored_spectrum import StoredSpectra

        return StoredSpectra(self._view)

    def __repr__(self) -> str:
        return facts_text(f"Store {self.url}", self._facts())

    def _repr_html_(self) -> str:
        return facts_page(self.url, self._facts())

    def _facts(self) -> list[tuple[str, object]]:
        configuration, grid = self._view.configuration, self._view.configuration.grid
        first, last = self.wavelength[[0, -1]]
        return [
            ("spectra", f"{len(self):,}"),
            (
                "explained outliers",
                f"{self._view.outliers:,}, tail probability up to {configuration.threshold:g}",
            ),
            ("wavelength", f"{first:.1f} to {last:.1f} Å, vacuum, {grid.size:,} pixels ({grid.name})"),
            ("models", ", ".join(self.models)),
            *(("explained by", str(each)) for each in self.explanations.values()),
            ("clusterings", ", ".join(self._view.clusterings()) or "none"),
        ]


def open_store(url: str) -> Store:
    """Open a store that ``whyspec run`` made, for reading.

    Parameters
    ----------
    url : path or fsspec URL.

    Raises
    ------
    InputError : there is no store.
    StoreError : the store is damaged, or of another schema version.
    """
    from engine.store.reading import StoreView

    return Store(StoreView.open(str(url)))


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    """Several texts; one alone is one, not its letters."""
    return (values,) if isinstance(values, str) else tuple(values)
