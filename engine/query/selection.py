"""Selection: the conditions of a query's settings as SQL over query columns."""

from __future__ import annotations

from collections.abc import Iterator

from engine.query.conditions.condition import Condition
from engine.query.conditions.expression import parse_expression
from engine.query.query_columns import kinds
from engine.query.settings import ANY_STATUS, QuerySettings
from engine.store.configuration import RunConfiguration


def conditions_on_spectra(settings: QuerySettings) -> Iterator[Condition]:
    """What must hold of a spectrum, whatever makes it odd; the options' own, without ``where``."""
    if not settings.superseded:
        yield Condition("NOT superseded", (), frozenset({"superseded"}))
    if settings.redshift is not None:
        yield _between("redshift", *settings.redshift)
    if settings.snr is not None:
        yield _between("snr", *settings.snr)
    if settings.near is not None:
        yield settings.near.condition()
    if settings.moc is not None:
        yield settings.moc.condition()
    if settings.classes:
        classes = [each.upper() for each in settings.classes]
        yield Condition("list_contains(?, upper(spectype))", (classes,), frozenset({"spectype"}))
    if settings.zwarn is not None:
        yield Condition("zwarn = ?", (settings.zwarn,), frozenset({"zwarn"}))
    if settings.fibers:
        yield Condition("list_contains(?, fiber)", (list(settings.fibers),), frozenset({"fiber"}))


def conditions_on_oddness(settings: QuerySettings) -> Iterator[Condition]:
    """What must hold of a spectrum's explanation, and so looks at what makes it odd."""
    if settings.cluster is not None:
        yield Condition("cluster = ?", (settings.cluster,), frozenset({"cluster"}))
    for place in filter(None, (settings.place_filter, settings.observed_filter)):
        middle = "w" if place.frame == "observed" else "w / (1.0 + redshift)"
        near = f"len(list_filter(place_wavelengths, lambda w: abs({middle} - ?) <= ?)) > 0"
        columns = frozenset({"place_wavelengths", "redshift"})
        yield Condition(near, (place.wavelength, place.tolerance), columns)
    if settings.line_name:
        lines = frozenset({"place_lines"})
        yield Condition("list_contains(place_lines, ?)", (settings.line_name,), lines)
    if settings.cause:
        yield Condition("cause = ?", (settings.cause,), frozenset({"cause"}))
    if settings.instrument is not None:
        yield _between("instrument_probability", *settings.instrument)
    if settings.caution_filter is not None:
        bits = frozenset({"caution_bits"})
        yield Condition("caution_bits >= 0", (), bits)
        yield Condition("caution_bits & ? = 0", (settings.caution_filter.unwanted,), bits)
        for mask in settings.caution_filter.wanted:
            yield Condition("caution_bits & ? <> 0", (mask,), bits)


def condition_of_expression(settings: QuerySettings, configuration: RunConfiguration) -> Iterator[Condition]:
    """The condition that ``where`` states.

    Raises
    ------
    ConfigurationError : it is no expression, or names a column that the store has not.
    """
    if settings.where:
        yield parse_expression(settings.where, kinds(configuration))


def condition_of_status(settings: QuerySettings) -> Iterator[Condition]:
    """Which rows are looked at, by their status."""
    if settings.status and settings.status != ANY_STATUS:
        yield Condition("status = ?", (settings.status,), frozenset({"status"}))


def _between(column: str, low: float, high: float) -> Condition:
    single = "::FLOAT" if column in ("snr", "instrument_probability") else ""
    sql = f"{column} >= ?{single} AND {column} <= ?{single}"
    return Condition(sql, (low, high), frozenset({column}))
