"""Query of a store: spectra by identity, redshift, cluster, and by what makes them odd."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.attribution.cautions import CautionFilter, labels_of, parse_cautions
from engine.attribution.place_filter import PlaceFilter, parse_line, parse_place
from engine.clustering.stored import ReadClustering, read_store_clustering
from engine.query.estimate_columns import ESTIMATE_COLUMNS, estimate_columns
from engine.query.place_columns import PlaceColumns
from engine.store.reading import StoreView
from engine.surveys.identifiers import UNKNOWN, shown_identifiers, stored_identifier
from models.causes.names import CAUSES
from models.causes.names import UNKNOWN as UNKNOWN_CAUSE
from models.errors import ConfigurationError, ErrorKind, InputError
from models.grid import WavelengthGrid
from models.row_status import RowStatus
from models.secrets import redacted_url

__all__ = [
    "COLUMNS",
    "NOT_IN_STORE",
    "QuerySettings",
    "answer",
    "parse_probability_range",
    "parse_redshift_range",
    "query",
]

COLUMNS = (
    "key",
    "target_id",
    "redshift",
    "spectype",
    "model",
    "score",
    "tail_probability",
    "tail_uncertainty",
    "snr",
    "explained",
    "cause",
    "cause_probability",
    "instrument_probability",
    "other_class",
    "estimates",
    *ESTIMATE_COLUMNS,
    "not_testable",
    "place_wavelength",
    "place_rest_wavelength",
    "place_width",
    "flux",
    "share",
    "line",
    "sigma",
    "pixels",
    "trials",
    "places",
    "cautions",
    "cluster",
    "ra",
    "dec",
    "source",
    "status",
    "gone",
)
"""Columns of a query's answer, in order."""

NOT_IN_STORE = "not_in_store"
"""Status of a TARGETID or key that was asked for and that no row has."""

_DEFAULT_CLUSTERING = "default"
_FROM_ROWS = (
    "redshift",
    "spectype",
    "model",
    "score",
    "tail_probability",
    "tail_uncertainty",
    "snr",
    "ra",
    "dec",
    "status",
    "gone",
)


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
    cluster : cluster number; ``clustering`` : of the clustering of that name.
    place : where one of the explanation's places is: ``[obs:]LINE-OR-ANGSTROM[+-TOLERANCE]``, see
        :func:`engine.attribution.place_filter.parse_place`; empty for anywhere.
    line : the line that one of the places is of, by its name; empty for any and none.
    cause : name of the cause; empty for any. ``instrument`` : least and largest probability that the cause is
        the instrument, the sky or the reduction, both included.
    cautions : cautions that the explanation must carry, all of them; ``any`` for at least one.
    without_cautions : cautions that it must not carry; ``any`` for none at all. Either leaves out
        what is not explained.

    Raises
    ------
    ConfigurationError : a condition makes no sense, e.g. a reversed redshift range.
    """

    target_ids: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    top: int | None = None
    redshift: tuple[float, float] | None = None
    cluster: int | None = None
    clustering: str = _DEFAULT_CLUSTERING
    place: str = ""
    line: str = ""
    cause: str = ""
    instrument: tuple[float, float] | None = None
    cautions: tuple[str, ...] = ()
    without_cautions: tuple[str, ...] = ()

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
        _ = self.place_filter, self.line_name, self.caution_filter

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


def query(url: str, settings: QuerySettings) -> pd.DataFrame:
    """Committed, non-superseded spectra that fulfil the settings, oddest first.

    That is by falling score; in a store of several models, whose scores do not compare, by rising tail
    probability first.

    Returns a frame with the columns :data:`COLUMNS`. ``target_id`` is what the survey's catalogue has, int64
    or (SDSS) uint64, and was never a float; ``cluster`` is a nullable integer; unknown
    numbers are NaN. ``explained`` is true where there is an explanation; ``place_wavelength`` to ``line`` are
    of its first place and are empty where its map is uniform; ``places`` is a text of all of them.
    ``estimates`` is a text of what the cause measured, ``estimate_redshift`` and so on are its numbers.
    Causes in ``not_testable`` have no template that the spectrum could show. ``sigma`` and ``pixels`` are of
    the first place, ``trials`` of the spectrum, see :mod:`engine.attribution.significance`.
    ``cautions`` are the labels of its cautions with a space between. ``model`` is the name of the model that
    the spectrum was given to, empty where none was. ``gone`` is true where the file has vanished from its
    release: such rows are kept and found like all others. Asked-for TARGETIDs and keys that the store does
    not have come last with status ``not_in_store``, whatever else is asked for.

    Raises
    ------
    InputError : there is no store, or no such cluster or clustering.
    StoreError : the store is damaged.
    """
    return answer(StoreView.open(url), settings)


def answer(view: StoreView, settings: QuerySettings) -> pd.DataFrame:
    """What :func:`query` answers, from a view of the store."""
    return find(view, settings, _chosen_clustering(view, settings))


def find(view: StoreView, settings: QuerySettings, clustering: ReadClustering | None) -> pd.DataFrame:
    """What :func:`query` answers, from a view and the clustering asked for; ``None`` where there is none.

    Raises
    ------
    InputError : there is no such cluster.
    """
    by_identity, grid = bool(settings.target_ids or settings.keys), view.configuration.grid
    rows, missing = _identified(view, settings) if by_identity else (_outliers(view), _nothing(grid))
    explained = view.latest_explanations().reindex(rows)
    places = PlaceColumns.read(view, explained["outlier"])
    frame = _described(view, rows, explained, places)
    frame["cluster"] = _cluster_column(view, explained["outlier"], settings, clustering).set_axis(frame.index)
    frame = frame[_fulfilled(frame, explained, places, settings)]
    by = ["tail_probability"] if len(view.configuration.models) > 1 else []
    order = frame.assign(minus=-frame["score"]).sort_values([*by, "minus", "key"], kind="stable").index
    frame = frame.loc[order]
    if settings.top is not None:
        frame = frame.head(settings.top)
    # Last, because they are long.
    frame["places"] = [places.text(number) for number in explained.index.get_indexer(frame.index).tolist()]
    frame = frame[list(COLUMNS)].astype(_types(grid)).reset_index(drop=True)
    return pd.concat([frame, missing], ignore_index=True) if len(missing) else frame


def _outliers(view: StoreView) -> NDArray[np.int64]:
    flags = view.table(["outlier", "superseded"])
    return flags.index.to_numpy(np.int64)[(flags["outlier"] & ~flags["superseded"]).to_numpy()]


def _identified(view: StoreView, settings: QuerySettings) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """Rows with the TARGETIDs or keys, and an answer's rows for those that are not there."""
    grid = view.configuration.grid
    columns = ["superseded", *(["target_id"] if settings.target_ids else [])]
    table = view.table([*columns, *(["key"] if settings.keys else [])])
    table = table[~table["superseded"]]
    wanted = np.zeros(len(table), dtype=np.bool_)
    missing: list[pd.DataFrame] = []
    if settings.target_ids:
        asked = np.array([stored_identifier(grid, each) for each in settings.target_ids], dtype=np.int64)
        known = table["target_id"].to_numpy(np.int64)
        wanted |= np.isin(known, asked)
        missing += [_absent(grid, target_id=each) for each in asked[~np.isin(asked, known)].tolist()]
    if settings.keys:
        present = set(table["key"])
        wanted |= table["key"].isin(settings.keys).to_numpy()
        missing += [_absent(grid, key=key) for key in settings.keys if key not in present]
    absent = pd.concat(missing, ignore_index=True) if missing else _nothing(grid)
    return table.index.to_numpy(np.int64)[wanted], absent


def _described(
    view: StoreView, rows: NDArray[np.int64], explained: pd.DataFrame, places: PlaceColumns
) -> pd.DataFrame:
    """An answer's columns but the cluster for these store rows, indexed by store row."""
    table = view.table([*_FROM_ROWS, "target_id", "key", "source"]).loc[rows]
    frame = table.copy()
    grid = view.configuration.grid
    frame["target_id"] = shown_identifiers(grid, frame["target_id"].to_numpy(np.int64))
    # Earlier versions put URLs with secrets into stores.
    frame["source"] = [redacted_url(url) for url in table["source"]]
    frame["status"] = [RowStatus(int(code)).label for code in table["status"]]
    names = [*(model.name for model in view.configuration.models), ""]  # the last for NO_MODEL
    frame["model"] = [names[number] for number in table["model"].tolist()]
    frame["explained"] = explained["explained_score"].notna().to_numpy()
    for name in ("cause", "cause_probability", "instrument_probability", "other_class"):
        frame[name] = explained[name].to_numpy()
    for name in ("cause", "other_class"):
        frame[name] = frame[name].fillna("")
    frame["not_testable"] = explained["not_testable"].fillna("").to_numpy()
    frame["trials"] = explained["trials"].fillna(0).to_numpy(np.int32)
    for name, values in estimate_columns(view, explained["outlier"]).items():
        frame[name] = values
    for name, values in places.first().items():
        frame[name] = values
    frame["cautions"] = [labels_of(max(bits, 0)) for bits in _caution_bits(explained).tolist()]
    return frame


def _caution_bits(explained: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) bits of the cautions, -1 where there is no explanation, which is not free of any."""
    known = explained["cautions"].where(explained["explained_score"].notna())
    return known.fillna(-1).to_numpy(np.int64)


def _chosen_clustering(view: StoreView, settings: QuerySettings) -> ReadClustering | None:
    """The clustering asked for; ``None`` where nothing was clustered and nothing is asked of it."""
    names = view.clusterings()
    if settings.clustering in names:
        return read_store_clustering(view, settings.clustering)
    if settings.cluster is None and settings.clustering == _DEFAULT_CLUSTERING:
        return None
    raise InputError(
        "The store has no clustering of that name."
        if names
        else "The explanations of this store have not been clustered.",
        where=view.url,
        got=settings.clustering,
        allowed=", ".join(names) or "none yet",
        remedy=f"Run 'whyspec cluster {view.url}' first"
        + (", or choose an allowed clustering." if names else "."),
        kind=ErrorKind.NO_CLUSTERING,
    )


def _cluster_column(
    view: StoreView, outlier: pd.Series, settings: QuerySettings, clustering: ReadClustering | None
) -> pd.Series:
    if clustering is None:
        return pd.Series(pd.NA, index=outlier.index, dtype="Int32")
    numbers = [cluster.label for cluster in clustering.summary.clusters]
    if settings.cluster is not None and settings.cluster not in numbers:
        raise InputError(
            "The clustering has no cluster of that number.",
            where=f"{view.url}, clustering {settings.clustering}",
            got=settings.cluster,
            allowed=f"0 to {len(numbers) - 1}" if numbers else "none: there was nothing to cluster",
            remedy=f"'whyspec report {view.url}' shows the clusters.",
            kind=ErrorKind.NO_CLUSTER,
        )
    label = clustering.labels.reindex(outlier)
    return label.where(label >= 0).astype("Int32")


def _fulfilled(
    frame: pd.DataFrame, explained: pd.DataFrame, places: PlaceColumns, settings: QuerySettings
) -> NDArray[np.bool_]:
    keep = np.ones(len(frame), dtype=np.bool_)
    redshift = frame["redshift"].to_numpy(np.float64)
    if settings.redshift is not None:
        low, high = settings.redshift
        keep &= (redshift >= low) & (redshift <= high)
    if settings.cluster is not None:
        keep &= (frame["cluster"] == settings.cluster).to_numpy(np.bool_, na_value=False)
    if settings.place_filter is not None:
        keep &= settings.place_filter.matches(places.wavelength, redshift)
    if settings.line_name:
        keep &= np.asarray(places.line == settings.line_name, dtype=np.bool_).any(axis=1)
    if settings.cause:
        keep &= (frame["cause"] == settings.cause).to_numpy(np.bool_)
    if settings.instrument is not None:
        low, high = settings.instrument
        keep &= frame["instrument_probability"].between(low, high).to_numpy(np.bool_)
    if settings.caution_filter is not None:
        cautions = _caution_bits(explained)
        keep &= (cautions >= 0) & settings.caution_filter.matches(cautions)
    return keep


def _absent(grid: WavelengthGrid, *, target_id: int = UNKNOWN, key: str = "") -> pd.DataFrame:
    row = _nothing(grid).reindex([0])
    row["key"], row["status"] = key, NOT_IN_STORE
    row["target_id"] = shown_identifiers(grid, np.array([target_id], dtype=np.int64))
    for name in (
        "spectype",
        "model",
        "flux",
        "line",
        "cause",
        "other_class",
        "estimates",
        "not_testable",
        "places",
        "cautions",
        "source",
    ):
        row[name] = ""
    row["explained"] = row["gone"] = False
    row["pixels"] = row["trials"] = 0
    return row.astype(_types(grid))


_TYPES = {
    "key": "str",
    "redshift": "float64",
    "spectype": "str",
    "model": "str",
    "score": "float32",
    "tail_probability": "float32",
    "tail_uncertainty": "float32",
    "snr": "float32",
    "explained": "bool",
    "cause": "str",
    "cause_probability": "float32",
    "instrument_probability": "float32",
    "other_class": "str",
    "estimates": "str",
    **dict.fromkeys(ESTIMATE_COLUMNS, "float64"),
    "not_testable": "str",
    "place_wavelength": "float64",
    "place_rest_wavelength": "float64",
    "place_width": "float64",
    "flux": "str",
    "share": "float64",
    "line": "str",
    "sigma": "float32",
    "pixels": "int32",
    "trials": "int32",
    "places": "str",
    "cautions": "str",
    "cluster": "Int32",
    "ra": "float64",
    "dec": "float64",
    "source": "str",
    "status": "str",
    "gone": "bool",
}


def _types(grid: WavelengthGrid) -> dict[str, str]:
    """The types of the columns of an answer, in their order."""
    identifiers = shown_identifiers(grid, np.empty(0, np.int64)).dtype.name
    return {name: identifiers if name == "target_id" else _TYPES[name] for name in COLUMNS}


def _nothing(grid: WavelengthGrid) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _types(grid).items()})


def _bad_range(text: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"That is not a redshift range: {why}.",
        where="--z",
        got=text,
        allowed="LOW:HIGH such as 0.1:0.3, with either end left out for no limit",
        remedy="Put the smaller redshift first, then a colon, then the larger.",
        kind=ErrorKind.REDSHIFT_RANGE,
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
