"""Viewer list of a query's answer: its spectra as the viewers of their survey take them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.query.query import NOT_IN_STORE, answer
from engine.query.settings import QuerySettings
from engine.query.table_formats import write_text
from engine.store.reading import StoreView
from engine.surveys.surveys import survey_on
from engine.surveys.viewer_list import ListedSpectrum, list_of_keys
from models.errors import ConfigurationError, ErrorKind
from models.plain_text import printable

_COLUMNS = ("key", "target_id", "plate", "mjd", "fiber", "exposures")


def write_viewer_list(view: StoreView, settings: QuerySettings, target: Path | None) -> int:
    """Write the list and say how many spectra it names; see :attr:`engine.surveys.survey.Survey.viewer_list`.

    Spectra that were asked for by name and that the store lacks are comments at its end.

    Raises
    ------
    ConfigurationError : columns are asked for, of which a list has none.
    InputError : the file cannot be written.
    """
    if settings.columns:
        raise ConfigurationError(
            "A list for viewers has no columns to choose.",
            where="--columns",
            got=", ".join(settings.columns),
            remedy="Leave the columns out, or choose another format.",
            kind=ErrorKind.OPTION,
        )
    found = answer(view, replace(settings, columns=(*_COLUMNS, "status")))
    absent = found["status"] == NOT_IN_STORE
    spectra = [ListedSpectrum(*each) for each in found.loc[~absent, list(_COLUMNS)].itertuples(index=False)]
    survey = survey_on(view.configuration.grid)
    text = (survey.viewer_list if survey is not None else list_of_keys)(spectra)
    for key, target_id in found.loc[absent, ["key", "target_id"]].itertuples(index=False):
        text += f"# not in the store: {key or target_id}\n"
    write_text(printable(text), target)
    return len(spectra)
