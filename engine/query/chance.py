"""Chance: how many spectra of a query's answer, and which significances, noise alone explains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from engine.attribution.significance import chance_sigma
from engine.query.conditions.condition import Condition
from engine.query.query import QuerySettings, count
from engine.query.query_columns import oddness_columns
from engine.query.selection import condition_of_expression
from engine.store.configuration import RunConfiguration
from engine.store.reading import StoreView
from models.calibration.false_discovery import false_discovery_rate
from models.row_status import RowStatus

_BY_WHAT_IS_ODD = {
    "cluster": "--cluster",
    "place": "--place",
    "observed": "--observed",
    "line": "--line",
    "cause": "--cause",
    "instrument": "--instrument",
    "cautions": "--caution",
    "without_cautions": "--without-caution",
}
"""Settings whose conditions look, or may look, at what makes spectra odd, with their options."""


def chance_note(view: StoreView, settings: QuerySettings, found: pd.DataFrame) -> str:
    """The false discovery rate of an answer, or why it has none, and the largest sigma of chance.

    Outliers chosen by a limit of their tail probability, among spectra of any redshift, class, S/N or fibre,
    have a rate: that of Benjamini & Hochberg. So has what an expression chose, if all columns that it names
    are known before a spectrum is scored. The limit is the run's threshold, or with a largest number of
    spectra the largest tail probability in the answer. Empty where nothing was found, and of an answer
    without the columns that it needs.
    """
    if not len(found) or not {"tail_probability", "explained", "trials"} <= set(found):
        return ""
    why = _why_no_rate(view.configuration, settings)
    if why and not found["explained"].any():
        return why
    scored = _scored(view.configuration, settings)
    spectra = count(view, scored)
    rate = why or _rate(view, settings, found, scored, spectra)
    return f"{rate}\n{largest_by_chance(found, spectra)}".strip()


def _scored(configuration: RunConfiguration, settings: QuerySettings) -> QuerySettings:
    """Scored spectra that are asked for, whatever makes them odd."""
    nothing = QuerySettings()
    unasked = {name: getattr(nothing, name) for name in _BY_WHAT_IS_ODD}
    return replace(
        settings,
        status=RowStatus.SCORED.label,
        where="" if _odd_columns(configuration, settings) else settings.where,
        target_ids=(),
        keys=(),
        targets=None,
        top=None,
        order=(),
        columns=(),
        superseded=False,
        **unasked,
    )


def _why_no_rate(configuration: RunConfiguration, settings: QuerySettings) -> str:
    """Why an answer has no false discovery rate; empty where it has one."""
    if settings.by_identity:
        return "No false discovery rate: these spectra were asked for by name, not chosen by their scores."
    conditions = [
        option for name, option in _BY_WHAT_IS_ODD.items() if getattr(settings, name) not in ("", (), None)
    ]
    conditions += [f"{name} in the expression" for name in _odd_columns(configuration, settings)]
    if conditions:
        return (
            f"No false discovery rate: {', '.join(conditions)} looks at what makes spectra odd, and how "
            "often chance fulfils that is not known."
        )
    if settings.status or settings.order:
        return "No false discovery rate: these spectra were not chosen by their tail probabilities."
    return ""


def _odd_columns(configuration: RunConfiguration, settings: QuerySettings) -> list[str]:
    """Columns of the expression that look, or may look, at what makes spectra odd."""
    named = {name for each in condition_of_expression(settings, configuration) for name in each.columns}
    return sorted(named & oddness_columns(configuration))


def _rate(
    view: StoreView, settings: QuerySettings, found: pd.DataFrame, scored: QuerySettings, spectra: int
) -> str:
    limit = view.configuration.threshold
    if settings.top is not None:
        limit = float(found["tail_probability"].max())
    selected = count(
        view, scored, Condition("tail_probability <= ?::FLOAT", (limit,), frozenset({"tail_probability"}))
    )
    rate = false_discovery_rate(limit, spectra, selected)
    shown = "unknown" if rate is None else f"up to {rate:.0%}"
    return (
        f"False discovery rate {shown}: of {spectra:,} scored spectra {selected:,} have a tail "
        f"probability of at most {limit:.2g}; chance alone makes {limit * spectra:,.1f}."
    )


def largest_by_chance(found: pd.DataFrame, scored: int) -> str:
    """The largest sigma that noise alone shows in so many scored spectra; empty if none found is explained.

    With as many trials in each as those found have in the median.
    """
    trials = found.loc[found["explained"], "trials"].to_numpy(np.int64)
    if not len(trials):
        return ""
    each = int(np.median(trials))
    return (
        f"Of {scored:,} spectra with {each:,} places each, chance shows up to "
        f"{chance_sigma(each * scored):.1f} sigma."
    )
