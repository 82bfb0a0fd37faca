"""Facts of a store for its report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.attribution.agreement import Agreement, agreement_of
from engine.attribution.explanation import Explanation
from engine.clustering.stored import ReadClustering, shown_clustering
from engine.query.query import QuerySettings, find
from engine.report.viewers import public_url
from engine.spectra.source_file import RefusedFile
from engine.store.entries import RUN_SET
from engine.store.file_versions import versions_by_identity
from engine.store.ledger import Ledger
from engine.store.reading import StoreView
from engine.store.routing import summed, unmodelled
from engine.store.saved_plans import ScorePlan
from models.row_status import RowStatus


@dataclass(frozen=True)
class StoreFacts:
    """A store as the report shows it. Superseded rows are left out everywhere.

    Attributes
    ----------
    store : its URL without credentials; releases : the releases processed, likewise.
    status : (n,) RowStatus codes; snr, redshift, score : (n,) of the same rows; outlier : (n,) bool.
    superseded : number of rows that newer rows replace.
    gone : number of the other rows whose file has vanished from the release; they are not left out.
    unmodelled : classes that no model was for, with their rows, as text; rows superseded since are counted.
    outliers : all outliers, oddest first, as :func:`engine.query.query.find` gives them.
    failed : outliers whose explanation came out as NaN.
    refused : files quarantined by the listings and by the blocks.
    clustering : the clustering shown; ``None`` if there is none.
    """

    view: StoreView
    store: str
    releases: tuple[str, ...]
    status: NDArray[np.uint8]
    snr: NDArray[np.float32]
    redshift: NDArray[np.float64]
    score: NDArray[np.float32]
    outlier: NDArray[np.bool_]
    superseded: int
    gone: int
    unmodelled: str
    outliers: pd.DataFrame
    failed: int
    refused: tuple[RefusedFile, ...]
    clustering: ReadClustering | None

    @property
    def scored(self) -> int:
        """Spectra that have a score."""
        return int((self.status == RowStatus.SCORED).sum())

    @property
    def explained(self) -> int:
        """Outliers that have an explanation."""
        return int(self.outliers["explained"].sum())


def gather(url: str, explanation: str = RUN_SET) -> StoreFacts:
    """Read everything the report shows of a set of explanations, except the figures' maps.

    Raises
    ------
    InputError : there is no store, or no set of explanations of that name.
    StoreError : the store is damaged.
    """
    view = StoreView.open(url).with_explanation(explanation)
    table = view.table(["status", "snr", "redshift", "score", "outlier", "superseded", "gone"])
    current = table[~table["superseded"]]
    plans = Ledger(view.objects, view.configuration).plans()
    clustering = shown_clustering(view)
    return StoreFacts(
        view=view,
        store=public_url(url),
        releases=tuple(dict.fromkeys(public_url(plan.root) for plan in plans)),
        status=current["status"].to_numpy(np.uint8),
        snr=current["snr"].to_numpy(np.float32),
        redshift=current["redshift"].to_numpy(np.float64),
        score=current["score"].to_numpy(np.float32),
        outlier=current["outlier"].to_numpy(np.bool_),
        superseded=len(table) - len(current),
        gone=int(current["gone"].sum()),
        unmodelled=unmodelled(summed(count for result in view.scored.values() for count in result.classes)),
        outliers=find(view, QuerySettings(), clustering),
        failed=_failed(view, current),
        refused=_refused(view, plans),
        clustering=clustering,
    )


def _failed(view: StoreView, current: pd.DataFrame) -> int:
    latest = view.latest_explanations()
    return int((latest["explained_score"].isna() & latest.index.isin(current.index)).sum())


def _refused(view: StoreView, plans: Sequence[ScorePlan]) -> tuple[RefusedFile, ...]:
    """Files quarantined, each once: as the latest listing or block that met it says."""
    # A file that a later plan read is no longer quarantined.
    latest: dict[str, RefusedFile] = {}
    for plan in plans:
        for file in plan.files:
            latest.pop(file.url, None)
        latest |= {refused.url: refused for refused in plan.refused}
    versions = versions_by_identity(plans, view.scored).values()
    read = {each[-1].file.url for each in versions if each[-1].state == "readable"}
    for result in view.scored.values():
        latest |= {refused.url: refused for refused in result.unreadable if refused.url not in read}
    return tuple(
        RefusedFile(public_url(refused.url), refused.kind, without_credentials(refused.reason))
        for _, refused in sorted(latest.items())
    )


def without_credentials(text: str) -> str:
    """``text`` with the user, password, query and fragment taken out of every URL in it."""
    return re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+", lambda match: public_url(match[0]), text)


def status_counts(status: NDArray[np.uint8]) -> list[tuple[RowStatus, int]]:
    """(status, rows) for every status that occurs, scored first, then by falling count."""
    codes, counts = np.unique(status, return_counts=True)
    pairs = [(RowStatus(int(code)), int(count)) for code, count in zip(codes, counts, strict=True)]
    return sorted(pairs, key=lambda pair: (pair[0] != RowStatus.SCORED, -pair[1], pair[0]))


def explained_outliers(
    facts: StoreFacts, top: int
) -> list[tuple[pd.Series, Explanation, tuple[Agreement, ...]]]:
    """The ``top`` oddest explained outliers: their row, explanation, agreement with other sets'."""
    chosen = facts.outliers[facts.outliers["explained"]].head(top)
    others = [_Numbered.of(facts.view, name) for name in facts.view.explanation_sets()]
    shown, *rest = sorted(others, key=lambda each: each.view.explanation != facts.view.explanation)
    found = []
    for _, row in chosen.iterrows():
        explained = shown.explanation(row["key"])
        assert explained is not None  # noqa: S101 - the query says so
        there = ((each.view.explanation, each.explanation(row["key"])) for each in rest)
        agreement = tuple(
            agreement_of(facts.view.explanation, name, explained, other) for name, other in there if other
        )
        found.append((row, explained, agreement))
    return found


@dataclass(frozen=True)
class _Numbered:
    """A view with one set of explanations, and the number of the latest one of each key."""

    view: StoreView
    numbers: pd.Series[int]

    @classmethod
    def of(cls, view: StoreView, name: str) -> _Numbered:
        chosen = view.with_explanation(name)
        table = chosen.outliers_table(())
        numbers = table[~table["superseded"]].reset_index().set_index("key")["outlier"]
        return cls(chosen, numbers[~numbers.index.duplicated(keep="last")])

    def explanation(self, key: str) -> Explanation | None:
        return self.view.outlier(int(self.numbers[key])) if key in self.numbers.index else None
