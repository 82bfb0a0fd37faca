"""Settings of a query: what is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from engine.attribution.cautions import CautionFilter, parse_cautions
from engine.attribution.place_filter import PlaceFilter, parse_line, parse_place
from engine.query.conditions.moc import Moc
from engine.query.conditions.near import Cone
from engine.query.target_list import TargetList
from models.causes.names import CAUSES
from models.causes.names import UNKNOWN as UNKNOWN_CAUSE
from models.errors import ConfigurationError, ErrorKind
from models.row_status import RowStatus

DEFAULT_CLUSTERING = "default"

ANY_STATUS = "any"
"""Stands for every status."""

STATUSES = (*(status.label for status in RowStatus if status is not RowStatus.PADDING), ANY_STATUS)


@dataclass(frozen=True)
class QuerySettings:
    """What is asked for; conditions that are given must all hold.

    Attributes
    ----------
    target_ids : TARGETIDs (SPECOBJIDs). With these or ``keys`` spectra that are no outliers, or were
        not scored, are found too; without, outliers only.
    keys : spectrum keys.
    top : at most that many, the oddest; ``None`` for all.
    redshift : least and largest redshift, both included.
    cluster : cluster number; ``clustering`` : of the clustering of that name; the default has the name of the
        set of explanations that is asked.
    place : where one of the explanation's places is: ``[obs:]LINE-OR-ANGSTROM[+-TOLERANCE]``, see
        :func:`engine.attribution.place_filter.parse_place`; empty for anywhere.
    line : the line that one of the places is of, by its name; empty for any and none.
    cause : name of the cause; empty for any. ``instrument`` : least and largest probability that the cause is
        the instrument, the sky or the reduction, both included.
    cautions : cautions that the explanation must carry, all of them; ``any`` for at least one.
    without_cautions : cautions that it must not carry; ``any`` for none at all. Either leaves out
        what is not explained.
    targets : a list of spectra, found like those of ``target_ids`` and ``keys``; None for no list.
    near : cone on the sky; moc : region of the sky; None for all of it.
    where : an expression in names of columns, see docs/query.md; empty for none.
    observed : observed wavelength of one of the places, ``ANGSTROM[+-TOLERANCE]``; empty for any.
    classes : spectral classes; fibers : numbers of fibres; zwarn : redshift warning bits, exactly these;
        snr : least and largest S/N. Empty or None for any.
    status : label of a status, ``any`` for all: then spectra that are no outliers are found, too.
    superseded : whether rows that newer rows replace are found.
    order : columns by which the answer is ordered, each with ``:desc`` behind it or not; empty for the oddest
        first: by tail probability, of equal ones by falling score.
    explanation : name of the set of explanations that is asked for places, cause and cautions; empty for that
        of the view that is asked, else that of the runs.
    columns : of the answer; empty for :data:`engine.query.query.COLUMNS`.

    Raises
    ------
    ConfigurationError : a condition makes no sense, e.g. a reversed redshift range.
    """

    target_ids: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    top: int | None = None
    redshift: tuple[float, float] | None = None
    cluster: int | None = None
    clustering: str = DEFAULT_CLUSTERING
    place: str = ""
    line: str = ""
    cause: str = ""
    instrument: tuple[float, float] | None = None
    cautions: tuple[str, ...] = ()
    without_cautions: tuple[str, ...] = ()
    targets: TargetList | None = None
    near: Cone | None = None
    moc: Moc | None = None
    where: str = ""
    observed: str = ""
    classes: tuple[str, ...] = ()
    fibers: tuple[int, ...] = ()
    zwarn: int | None = None
    snr: tuple[float, float] | None = None
    status: str = ""
    superseded: bool = False
    order: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    explanation: str = ""

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise ConfigurationError(
                "The number of spectra to show is not positive.",
                where="--top",
                got=self.top,
                allowed="1 or more",
                remedy="Leave it out to get all.",
                kind=ErrorKind.QUERY_TOP,
            )
        if self.redshift is not None:
            low, high = self.redshift
            if not low <= high:
                raise _bad_range(f"{low}:{high}", "the first is not below the second")
        if self.cause and self.cause not in (*CAUSES, UNKNOWN_CAUSE):
            raise ConfigurationError(
                "There is no cause of that name.",
                where="--cause",
                got=self.cause,
                allowed=", ".join((*CAUSES, UNKNOWN_CAUSE)),
                remedy="Choose one of these.",
                kind=ErrorKind.UNKNOWN_CAUSE,
            )
        if self.status and self.status not in STATUSES:
            raise ConfigurationError(
                "There is no status of that name.",
                where="--status",
                got=self.status,
                allowed=", ".join(STATUSES),
                remedy="Choose one of these.",
                kind=ErrorKind.UNKNOWN_STATUS,
            )
        _ = self.place_filter, self.line_name, self.caution_filter, self.observed_filter

    @property
    def by_identity(self) -> bool:
        """Whether spectra are asked for by name."""
        return bool(self.target_ids or self.keys or self.targets is not None)

    @property
    def outliers_only(self) -> bool:
        """Whether outliers alone are looked at."""
        return not (self.by_identity or self.status)

    @cached_property
    def observed_filter(self) -> PlaceFilter | None:
        """The condition on the observed wavelengths of places; ``None`` for any."""
        return parse_place(f"obs:{self.observed}") if self.observed else None

    @cached_property
    def place_filter(self) -> PlaceFilter | None:
        """The condition on the places; ``None`` for anywhere."""
        return parse_place(self.place) if self.place else None

    @cached_property
    def line_name(self) -> str:
        """Name of the line as stores have it; empty for any and none."""
        return parse_line(self.line) if self.line else ""

    @cached_property
    def caution_filter(self) -> CautionFilter | None:
        """The condition on cautions; ``None`` for whatever they are."""
        if not (self.cautions or self.without_cautions):
            return None
        return parse_cautions(self.cautions, self.without_cautions)


def parse_redshift_range(text: str) -> tuple[float, float]:
    """``"0.1:0.3"``, ``":0.3"`` or ``"0.1:"`` as least and largest redshift.

    Raises
    ------
    ConfigurationError : not two numbers with a colon between, or reversed.
    """
    return _range(text, _bad_range)


def parse_probability_range(text: str) -> tuple[float, float]:
    """The same of probabilities.

    Raises
    ------
    ConfigurationError : not two numbers with a colon between, or reversed.
    """
    return _range(text, _bad_probabilities)


def _range(text: str, bad: Callable[[str, str], ConfigurationError]) -> tuple[float, float]:
    first, colon, last = text.partition(":")
    try:
        low = float(first) if first.strip() else -math.inf
        high = float(last) if last.strip() else math.inf
    except ValueError as error:
        raise bad(text, "not numbers") from error
    if not colon or math.isnan(low) or math.isnan(high):
        raise bad(text, "not two numbers with a colon between")
    if low > high:
        raise bad(text, "the first is larger than the second")
    return low, high


def _bad_range(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"That is not a redshift range: {why}.",
        where="--z",
        got=text,
        allowed="LOW:HIGH such as 0.1:0.3, with either end left out for no limit",
        remedy="Put the smaller redshift first, then a colon, then the larger.",
        kind=ErrorKind.REDSHIFT_RANGE,
    )


def parse_snr_range(text: str) -> tuple[float, float]:
    """The same of signal-to-noise ratios.

    Raises
    ------
    ConfigurationError : not two numbers with a colon between, or reversed.
    """
    return _range(text, _bad_snr)


def _bad_snr(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"That is not a range of S/N: {why}.",
        where="--snr",
        got=text,
        allowed="LOW:HIGH such as 2:10, with either end left out for no limit",
        remedy="Put the smaller S/N first, then a colon, then the larger.",
        kind=ErrorKind.SNR_RANGE,
    )


def _bad_probabilities(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"That is not a range of probabilities: {why}.",
        where="--instrument",
        got=text,
        allowed="LOW:HIGH such as 0:0.2, with either end left out for no limit",
        remedy="Put the smaller probability first, then a colon, then the larger.",
        kind=ErrorKind.PROBABILITY_RANGE,
    )
