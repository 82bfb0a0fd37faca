"""Selected spectra: the rows of a store that a match looks at, as SQL."""

from __future__ import annotations

from collections.abc import Sequence

from engine.catalogue.reading import CatalogueTables
from engine.query.conditions.condition import Condition, all_of
from engine.query.query_columns import ROW, joined, oddness_columns
from engine.query.selection import condition_of_expression, conditions_on_spectra
from engine.query.settings import QuerySettings
from engine.store.configuration import RunConfiguration
from models.errors import ConfigurationError, ErrorKind


class SelectedSpectra:
    """Spectra that fulfil the selection of a match; those that newer ones replace are left out.

    Raises
    ------
    ConfigurationError : the selection is none, or looks at what makes spectra odd: then it would also choose
        what the oddest are compared with.
    """

    def __init__(
        self, tables: CatalogueTables, configuration: RunConfiguration, settings: QuerySettings
    ) -> None:
        self._tables, self._configuration = tables, configuration
        self.condition: Condition = all_of(
            (*conditions_on_spectra(settings), *condition_of_expression(settings, configuration))
        )
        odd = sorted(self.condition.columns & oddness_columns(configuration))
        if odd:
            raise ConfigurationError(
                "The selection of a match looks at what makes spectra odd.",
                where=settings.where,
                got=", ".join(odd),
                allowed="columns that are known before a spectrum is scored, such as z, snr, class, zwarn",
                remedy="Leave them out here, and look for them among the rows that the match writes.",
                kind=ErrorKind.MATCH_SETTINGS,
            )

    def select(self, names: Sequence[str]) -> str:
        """A SELECT of these columns and ``row``, with the parameters of the condition."""
        wanted = list(dict.fromkeys((*names, ROW)))
        columns = joined(list(dict.fromkeys((*wanted, *self.condition.columns))), self._configuration)
        spectra = self._tables.spectra(columns.spectra, outliers_only=False)
        return (
            f"SELECT {', '.join(wanted)} FROM (SELECT {columns.selected} FROM ({spectra}) AS s) AS found "
            f"WHERE {self.condition.sql}"
        )
