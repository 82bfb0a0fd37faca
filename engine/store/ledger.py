"""The ledger: one small immutable object per plan and per finished block.

Plain objects, no database: they work on a laptop, on NFS and on S3. A block is finished when its
entry is there, and its entry is written last. Entries hold no dates, so the same run writes the
same ledger. Identifiers of 64 bits (TARGETID) never enter JSON, whose readers may take them for
floats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.spectra.source_file import RefusedFile
from engine.store.blocks import BlockKind, BlockResult, ClassCount, WrittenObject
from engine.store.checksummed import checksummed, read_checksummed
from engine.store.objects import ObjectTree
from engine.store.saved_plans import AttributionPlan, ScorePlan
from engine.store.schema import FLAGS, FlagName
from models.atomic_files import PARTIAL
from models.errors import ErrorKind, StoreError

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class FlaggedRows:
    """Rows of one score block that carry a flag, and the object that holds the block's flags.

    ``ranges`` are the rows as ``[start, stop)``, ascending; a replaced file's rows are one of them.
    """

    flag: FlagName
    block: int
    ranges: tuple[tuple[int, int], ...]
    flags: WrittenObject

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows, ascending."""
        return np.concatenate([np.empty(0, np.int64), *(np.arange(*each) for each in self.ranges)])


@dataclass(frozen=True, slots=True)
class ClusteringEntry:
    """A complete clustering: its name and its objects."""

    name: str
    objects: tuple[WrittenObject, ...]


@dataclass(frozen=True, slots=True)
class LedgerAudit:
    """The entries of a ledger that are whole, and the errors of those that are not."""

    results: tuple[BlockResult, ...]
    plans: tuple[ScorePlan | AttributionPlan, ...]
    superseded: tuple[FlaggedRows, ...]
    gone: tuple[FlaggedRows, ...]
    clusterings: tuple[ClusteringEntry, ...]
    errors: tuple[StoreError, ...]


class Ledger:
    """The ledger of one store. Only the coordinator writes to it.

    Attributes
    ----------
    guard : called before anything is written; raises if this process must not write (any more).
    """

    def __init__(self, objects: ObjectTree) -> None:
        self._objects = objects
        self.guard: Callable[[], None] = _unguarded

    def commit(self, result: BlockResult) -> None:
        """Record that a block is finished; its objects must be durable already.

        Raises
        ------
        StoreError : the block was committed before with another outcome.
        """
        self.guard()
        path = result_path(result.kind, result.index)
        entry = checksummed(asdict(result))
        try:
            present = self._objects.get(path)
        except FileNotFoundError:
            self._objects.put(path, entry)
            return
        if present != entry:
            raise StoreError(
                "A block that is finished was computed again with another outcome.",
                where=f"{self._objects.url}/{path}",
                got=f"{result.spectra} spectra, {len(result.outliers)} outliers, other than recorded",
                allowed="the recorded outcome",
                remedy="Run 'whyspec verify' on the store; use the same code and settings for one store.",
                kind=ErrorKind.LEDGER_CONFLICT,
            )

    def replace(self, result: BlockResult) -> None:
        """Record a block's outcome in place of an earlier, damaged or mistaken one."""
        self.guard()
        self._objects.put(result_path(result.kind, result.index), checksummed(asdict(result)))

    def results(self, kind: BlockKind) -> dict[int, BlockResult]:
        """All finished blocks of a kind by index, ascending, from one listing.

        Raises
        ------
        StoreError : an entry is damaged; the text names it.
        """
        return {result.index: result for result in self._read(f"ledger/{kind}", _to_result)}

    def save_plan(self, plan: ScorePlan | AttributionPlan) -> None:
        """Record a plan before its work starts; saving it again changes nothing."""
        self.guard()
        self._objects.put(plan_path(plan), checksummed(plan.to_dict()))

    def withdraw_plan(self, plan: ScorePlan | AttributionPlan) -> None:
        """Take back a plan of which no block was begun."""
        self.guard()
        self._objects.delete([plan_path(plan)])

    def plans(self) -> tuple[ScorePlan, ...]:
        """All score plans in the order in which they were made, which is that of their blocks."""
        plans = self._read("ledger/plans", ScorePlan.from_dict, chosen=lambda path: not _of_rows(path))
        return tuple(sorted(plans, key=lambda plan: (plan.number, plan.first_block)))

    def attribution_plans(self) -> tuple[AttributionPlan, ...]:
        """All attribution plans in the order of their blocks."""
        plans = self._read("ledger/plans", AttributionPlan.from_dict, chosen=_of_rows)
        return tuple(sorted(plans, key=lambda plan: plan.first_block))

    def save_flags(self, entry: FlaggedRows) -> None:
        """Record which rows of a block carry a flag; replaces the block's earlier entry."""
        self.guard()
        body = {
            "block": entry.block,
            "ranges": [list(each) for each in entry.ranges],
            "flags": asdict(entry.flags),
        }
        self._objects.put(flags_path(entry.flag, entry.block), checksummed(body))

    def drop_flags(self, flag: FlagName, block: int) -> None:
        """Record that no row of a block carries a flag."""
        self.guard()
        self._objects.delete([flags_path(flag, block)])

    def flagged(self, flag: FlagName) -> dict[int, FlaggedRows]:
        """Rows that carry a flag, by score block."""
        return {entry.block: entry for entry in self._read(f"ledger/{flag}", _FLAG_DECODERS[flag])}

    def superseded(self) -> dict[int, FlaggedRows]:
        """Rows that newer rows replace, by score block."""
        return self.flagged("superseded")

    def flagged_in(self, flag: FlagName, block: int) -> FlaggedRows | None:
        """Rows of one score block that carry a flag; ``None`` if none does."""
        path = flags_path(flag, block)
        try:
            data = self._objects.get(path)
        except FileNotFoundError:
            return None
        return self._decoded(path, data, _FLAG_DECODERS[flag])

    def save_clustering(self, entry: ClusteringEntry) -> None:
        """Record that a clustering is complete."""
        self.guard()
        self._objects.put(clustering_path(entry.name), checksummed(asdict(entry)))

    def drop_clustering(self, name: str) -> None:
        """Forget a clustering, before its objects are replaced."""
        self.guard()
        self._objects.delete([clustering_path(name)])

    def clusterings(self) -> dict[str, ClusteringEntry]:
        """Complete clusterings by name."""
        return {entry.name: entry for entry in self._read("ledger/clusters", _to_clustering)}

    def audit(self) -> LedgerAudit:
        """Everything that can be read, and an error for each entry that cannot."""
        errors: list[StoreError] = []
        score = self._read("ledger/score", _to_result, errors)
        attribution = self._read("ledger/attribution", _to_result, errors)
        plans = self._read("ledger/plans", _to_plan, errors)
        superseded = self._read("ledger/superseded", _FLAG_DECODERS["superseded"], errors)
        gone = self._read("ledger/gone", _FLAG_DECODERS["gone"], errors)
        clusterings = self._read("ledger/clusters", _to_clustering, errors)
        return LedgerAudit(
            results=(*score, *attribution),
            plans=tuple(plans),
            superseded=tuple(superseded),
            gone=tuple(gone),
            clusterings=tuple(clusterings),
            errors=tuple(errors),
        )

    def _read(
        self,
        folder: str,
        decode: Callable[[dict[str, Any]], Entry],
        errors: list[StoreError] | None = None,
        chosen: Callable[[str], bool] = lambda _: True,
    ) -> list[Entry]:
        """The chosen entries of a folder; a damaged one is raised, or added to ``errors`` where given."""
        every = self._objects.sizes(folder)
        paths = [path for path in every if not path.endswith(PARTIAL) and chosen(path)]
        found = self._objects.get_all(paths)
        entries = []
        for path in paths:
            try:
                entries.append(self._decoded(path, found[path], decode))
            except StoreError as error:
                if errors is None:
                    raise
                errors.append(error)
        return entries

    def _decoded(self, path: str, data: bytes, decode: Callable[[dict[str, Any]], Entry]) -> Entry:
        body = read_checksummed(data, f"{self._objects.url}/{path}", _remedy(path))
        try:
            entry = decode(body)
        except (KeyError, TypeError, ValueError) as error:
            raise _unfit(self._objects.url, path, f"{type(error).__name__}: {error}") from error
        if _path_of(entry) != path:
            raise _unfit(self._objects.url, path, f"the entry of {_path_of(entry)}")
        return entry


def _unguarded() -> None:
    """Nobody else writes: the ledger of a reader, or of a store that nobody knows yet."""


def result_path(kind: BlockKind, index: int) -> str:
    """Path of a block's entry."""
    return f"ledger/{kind}/{index:08d}.json"


def _of_rows(path: str) -> bool:
    """Whether a saved plan's path is that of an attribution plan."""
    return path.startswith("ledger/plans/attribution-")


def plan_path(plan: ScorePlan | AttributionPlan) -> str:
    """Path of a saved plan."""
    prefix = "" if isinstance(plan, ScorePlan) else "attribution-"
    return f"ledger/plans/{prefix}{plan.digest}.json"


def flags_path(flag: FlagName, block: int) -> str:
    """Path of the entry of a score block's flagged rows."""
    return f"ledger/{flag}/{block:08d}.json"


def clustering_path(name: str) -> str:
    """Path of a clustering's entry."""
    return f"ledger/clusters/{name}.json"


def _to_plan(body: dict[str, Any]) -> ScorePlan | AttributionPlan:
    return ScorePlan.from_dict(body) if body["kind"] == "score-plan" else AttributionPlan.from_dict(body)


def _to_result(body: dict[str, Any]) -> BlockResult:
    return BlockResult(
        kind=body["kind"],
        index=_whole(body["index"]),
        plan=body["plan"],
        spectra=_whole(body["spectra"]),
        status_counts=tuple((str(label), _whole(count)) for label, count in body["status_counts"]),
        outliers=tuple(_whole(row) for row in body["outliers"]),
        unreadable=tuple(RefusedFile(**file) for file in body["unreadable"]),
        objects=tuple(WrittenObject(**each) for each in body["objects"]),
        classes=tuple(ClassCount(**each) for each in body["classes"]),
        signature_counts=tuple((str(label), _whole(count)) for label, count in body["signature_counts"]),
    )


def ranges_of(rows: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Ascending rows as ranges ``[start, stop)``."""
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []
    return tuple((int(part[0]), int(part[-1]) + 1) for part in parts)


def _flag_decoder(flag: FlagName) -> Callable[[dict[str, Any]], FlaggedRows]:
    def decode(body: dict[str, Any]) -> FlaggedRows:
        ranges = tuple((_whole(start), _whole(stop)) for start, stop in body["ranges"])
        return FlaggedRows(flag, _whole(body["block"]), ranges, WrittenObject(**body["flags"]))

    return decode


_FLAG_DECODERS: Mapping[FlagName, Callable[[dict[str, Any]], FlaggedRows]] = {
    flag: _flag_decoder(flag) for flag in FLAGS
}


def _to_clustering(body: dict[str, Any]) -> ClusteringEntry:
    return ClusteringEntry(body["name"], tuple(WrittenObject(**each) for each in body["objects"]))


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _path_of(entry: object) -> str:
    match entry:
        case BlockResult():
            return result_path(entry.kind, entry.index)
        case FlaggedRows():
            return flags_path(entry.flag, entry.block)
        case ClusteringEntry():
            return clustering_path(entry.name)
        case ScorePlan() | AttributionPlan():
            return plan_path(entry)
    raise TypeError(type(entry))


def _unfit(url: str, path: str, got: str) -> StoreError:
    return StoreError(
        "An entry of the ledger does not say what its place in the store says.",
        where=f"{url}/{path}",
        got=got,
        allowed="the entry that whyspec wrote there",
        remedy=_remedy(path),
        kind=ErrorKind.LEDGER_DAMAGED,
    )


def _remedy(path: str) -> str:
    """What to do about a damaged entry: most can be made again, a plan cannot."""
    if path.startswith("ledger/plans/"):
        return "Restore this object from a copy of the store: it says which rows hold which spectra."
    if path.startswith("ledger/clusters/"):
        return "Delete this object and make the clustering again."
    return "Run 'whyspec verify --repair': what it records is computed anew, with the same values."
