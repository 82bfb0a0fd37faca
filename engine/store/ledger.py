"""The ledger: one small immutable object per plan and per finished block.

There is no database: plain objects work on a laptop, on NFS and on S3. The entry of a block is written
last: a block is finished if its entry is there. Entries have no dates, so the same run writes the same
ledger. Identifiers of 64 bits (TARGETID) never enter JSON, because its readers may take them for floats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from engine.store.blocks import BlockKind, BlockResult, WrittenObject
from engine.store.checksummed import checksummed, read_checksummed
from engine.store.configuration import RunConfiguration
from engine.store.entries import ClusteringEntry, Entry, ExplanationSetEntry, FlaggedRows, misfit
from engine.store.objects import ObjectTree, OnDamage, raised
from engine.store.saved_plans import AttributionPlan, ScorePlan, in_order
from engine.store.schema import FLAGS, FlagName
from models.atomic_files import PARTIAL
from models.digests import digest_of
from models.errors import ErrorKind, StoreError
from models.json_text import first_problem

_TOGETHER = 1024
"""Entries whose bytes are in memory at once."""

_Entry = TypeVar("_Entry", bound=Entry)


class Ledger:
    """The ledger of one store. Only the coordinator writes to it.

    Every method that reads many entries lists one folder and reads each of its entries anew. A command
    does so once, see :class:`engine.store.snapshot.Snapshot` and :class:`engine.store.reading.StoreView`.
    ``on_damage`` is called with the error of each damaged entry; if it returns, the entry is left out.

    Attributes
    ----------
    guard : called before anything is written; raises if this process must not write (any more).
    """

    def __init__(self, objects: ObjectTree, configuration: RunConfiguration) -> None:
        self._objects = objects
        self._configuration = configuration
        self.guard: Callable[[], None] = _unguarded

    @property
    def url(self) -> str:
        """Where the store, or the set of explanations, is."""
        return self._objects.url

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
        """Record a block's outcome in place of a damaged or mistaken one."""
        self.guard()
        self._objects.put(result_path(result.kind, result.index), checksummed(asdict(result)))

    def results(self, kind: BlockKind, on_damage: OnDamage = raised) -> dict[int, BlockResult]:
        """All finished blocks of a kind by index, ascending, from one listing.

        Raises
        ------
        StoreError : an entry is damaged; the text names it.
        """
        return {result.index: result for result in self._read(f"ledger/{kind}", _to_result, on_damage)}

    def finished(self, kind: BlockKind) -> dict[int, int]:
        """Bytes of the entry of every finished block of a kind by index, ascending; no entry is read.

        Raises
        ------
        StoreError : an object there has no block's name.
        """
        folder, found = f"ledger/{kind}", {}
        for path, size in self._sizes(folder).items():
            number = path.removeprefix(f"{folder}/").removesuffix(".json")
            if not number.isdecimal() or path != result_path(kind, int(number)):
                raise _unfit(self._objects.url, path, "no block has an entry of that name")
            found[int(number)] = size
        return dict(sorted(found.items()))

    def results_of(self, kind: BlockKind, indices: Sequence[int]) -> dict[int, BlockResult]:
        """These finished blocks of a kind by index.

        Raises
        ------
        FileNotFoundError : one of them has no entry any more.
        StoreError : an entry is damaged; the text names it.
        """
        paths = [result_path(kind, index) for index in indices]
        return {result.index: result for result in self._entries(paths, _to_result, raised)}

    def plan_digests(self) -> frozenset[str]:
        """Digests of all saved plans, which are their names, from one listing; no plan is read."""
        paths = self._paths("ledger/plans")
        return frozenset(path.rpartition("/")[2].removesuffix(".json").rpartition("-")[2] for path in paths)

    def save_plan(self, plan: ScorePlan | AttributionPlan) -> None:
        """Record a plan before its work starts; saving it again changes nothing."""
        self.guard()
        self._objects.put(plan_path(plan), checksummed(plan.to_dict()))

    def withdraw_plan(self, plan: ScorePlan | AttributionPlan) -> None:
        """Delete a plan of which no block was begun."""
        self.guard()
        self._objects.delete([plan_path(plan)])

    def plans(self, on_damage: OnDamage = raised) -> tuple[ScorePlan, ...]:
        """All score plans in the order in which they were made, which is that of their blocks."""
        plans = self._read("ledger/plans", _to_plan, on_damage, lambda path: not _is_attribution_plan(path))
        return in_order(plan for plan in plans if isinstance(plan, ScorePlan))

    def attribution_plans(self, on_damage: OnDamage = raised) -> tuple[AttributionPlan, ...]:
        """All attribution plans in the order of their blocks."""
        plans = self._read("ledger/plans", _to_plan, on_damage, _is_attribution_plan)
        return in_order(plan for plan in plans if isinstance(plan, AttributionPlan))

    def plans_besides(
        self, known: Iterable[ScorePlan | AttributionPlan]
    ) -> tuple[ScorePlan | AttributionPlan, ...]:
        """The saved plans that are none of ``known``, whose entries are not read again."""
        paths = set(map(plan_path, known))
        return tuple(self._read("ledger/plans", _to_plan, raised, lambda path: path not in paths))

    def save_flags(self, entry: FlaggedRows) -> None:
        """Record which rows of a block carry a flag, in place of the block's earlier entry."""
        self.guard()
        path = flags_path(entry.flag, entry.block)
        if not entry.ranges:
            self._objects.delete([path])
            return
        ranges = [list(each) for each in entry.ranges]
        self._objects.put(
            path, checksummed({"block": entry.block, "ranges": ranges, "flags": asdict(entry.flags)})
        )

    def flagged(self, flag: FlagName, on_damage: OnDamage = raised) -> dict[int, FlaggedRows]:
        """Rows that carry a flag, by score block, ascending."""
        return {entry.block: entry for entry in self._read(f"ledger/{flag}", _FLAG_DECODERS[flag], on_damage)}

    def flagged_in(self, flag: FlagName, block: int) -> FlaggedRows | None:
        """Rows of one score block that carry a flag; ``None`` if none does."""
        return self._read_one(flags_path(flag, block), _FLAG_DECODERS[flag])

    def save_clustering(self, entry: ClusteringEntry) -> None:
        """Record that a clustering is complete."""
        self.guard()
        self._objects.put(clustering_path(entry.name), checksummed(asdict(entry)))

    def drop_clustering(self, name: str) -> None:
        """Delete the entry of a clustering, before its objects are replaced."""
        self.guard()
        self._objects.delete([clustering_path(name)])

    def clusterings(self, on_damage: OnDamage = raised) -> dict[str, ClusteringEntry]:
        """Complete clusterings by name."""
        return {entry.name: entry for entry in self._read("ledger/clusters", _to_clustering, on_damage)}

    def clustering_names(self) -> tuple[str, ...]:
        """Names of the complete clusterings, sorted, from one listing; no entry is read."""
        paths = self._paths("ledger/clusters")
        return tuple(path.removeprefix("ledger/clusters/").removesuffix(".json") for path in paths)

    def clustering(self, name: str) -> ClusteringEntry | None:
        """A complete clustering; ``None`` if there is none of that name."""
        return self._read_one(clustering_path(name), _to_clustering)

    def save_explanation_set(self, entry: ExplanationSetEntry) -> None:
        """Record that a set of explanations is there; its documents must be durable already."""
        self.guard()
        self._objects.put(explanation_set_path(entry.name), checksummed(asdict(entry)))

    def explanation_sets(self, on_damage: OnDamage = raised) -> dict[str, ExplanationSetEntry]:
        """The sets of explanations beside the run's own, by name, sorted."""
        entries = self._read("ledger/explanations", _to_explanation_set, on_damage)
        return {entry.name: entry for entry in entries}

    def explanation_set(self, name: str) -> ExplanationSetEntry | None:
        """A set of explanations beside the run's own; ``None`` if there is none of that name."""
        return self._read_one(explanation_set_path(name), _to_explanation_set)

    def _read(
        self,
        folder: str,
        decode: Callable[[bytes], _Entry],
        on_damage: OnDamage = raised,
        chosen: Callable[[str], bool] = lambda _: True,
    ) -> list[_Entry]:
        """The chosen entries of a folder, sorted by path."""
        return self._entries([path for path in self._paths(folder) if chosen(path)], decode, on_damage)

    def _entries(
        self, paths: Sequence[str], decode: Callable[[bytes], _Entry], on_damage: OnDamage
    ) -> list[_Entry]:
        entries = []
        for start in range(0, len(paths), _TOGETHER):
            for path, data in self._objects.get_all(paths[start : start + _TOGETHER], on_damage).items():
                try:
                    entries.append(self._decoded(path, data, decode))
                except StoreError as error:
                    on_damage(error)
        return entries

    def _paths(self, folder: str) -> list[str]:
        return list(self._sizes(folder))

    def _sizes(self, folder: str) -> dict[str, int]:
        return {
            path: size for path, size in self._objects.sizes(folder).items() if not path.endswith(PARTIAL)
        }

    def _read_one(self, path: str, decode: Callable[[bytes], _Entry]) -> _Entry | None:
        try:
            data = self._objects.get(path)
        except FileNotFoundError:
            return None
        return self._decoded(path, data, decode)

    def _decoded(self, path: str, data: bytes, decode: Callable[[bytes], _Entry]) -> _Entry:
        body = read_checksummed(data, f"{self._objects.url}/{path}", _remedy(path))
        try:
            entry = decode(body)
        except ValidationError as error:
            raise _unfit(self._objects.url, path, first_problem(error)) from error
        if wrong := misfit(entry, self._configuration):
            raise _unfit(self._objects.url, path, wrong)
        if _path_of(entry) != path:
            raise _unfit(self._objects.url, path, f"the entry of {_path_of(entry)}")
        return entry


def _unguarded() -> None:
    """Nothing to check: for readers, and for a store that no other process knows yet."""


def result_digest(result: BlockResult) -> str:
    """Digest of a block's entry as it is written."""
    return digest_of(checksummed(asdict(result)))


def result_path(kind: BlockKind, index: int) -> str:
    """Path of a block's entry."""
    return f"ledger/{kind}/{index:08d}.json"


def _is_attribution_plan(path: str) -> bool:
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


def explanation_set_path(name: str) -> str:
    """Path of the entry of a set of explanations."""
    return f"ledger/explanations/{name}.json"


_PLAN: TypeAdapter[ScorePlan | AttributionPlan] = TypeAdapter(ScorePlan | AttributionPlan)
_RESULT = TypeAdapter(BlockResult)
_CLUSTERING = TypeAdapter(ClusteringEntry)
_EXPLANATION_SET = TypeAdapter(ExplanationSetEntry)


@dataclass(frozen=True, slots=True)
class _StoredFlags:
    """Flagged rows as their object has them: which flag, its folder says."""

    block: int
    ranges: tuple[tuple[int, int], ...]
    flags: WrittenObject


_FLAGS = TypeAdapter(_StoredFlags)


def _to_plan(body: bytes) -> ScorePlan | AttributionPlan:
    return _PLAN.validate_json(body, strict=True)


def _to_result(body: bytes) -> BlockResult:
    return _RESULT.validate_json(body, strict=True)


def _to_clustering(body: bytes) -> ClusteringEntry:
    return _CLUSTERING.validate_json(body, strict=True)


def _to_explanation_set(body: bytes) -> ExplanationSetEntry:
    return _EXPLANATION_SET.validate_json(body, strict=True)


def _flag_decoder(flag: FlagName) -> Callable[[bytes], FlaggedRows]:
    def decode(body: bytes) -> FlaggedRows:
        found = _FLAGS.validate_json(body, strict=True)
        return FlaggedRows(flag, found.block, found.ranges, found.flags)

    return decode


_FLAG_DECODERS: Mapping[FlagName, Callable[[bytes], FlaggedRows]] = {
    flag: _flag_decoder(flag) for flag in FLAGS
}


def _path_of(entry: Entry) -> str:
    match entry:
        case BlockResult():
            return result_path(entry.kind, entry.index)
        case FlaggedRows():
            return flags_path(entry.flag, entry.block)
        case ClusteringEntry():
            return clustering_path(entry.name)
        case ExplanationSetEntry():
            return explanation_set_path(entry.name)
        case ScorePlan() | AttributionPlan():
            return plan_path(entry)


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
    """What to do about a damaged entry. Most can be made again; a plan cannot."""
    if path.startswith("ledger/plans/"):
        return "Restore this object from a copy of the store: it says which rows hold which spectra."
    if path.startswith("ledger/clusters/"):
        return "Delete this object and make the clustering again."
    return "Run 'whyspec verify --repair': what it records is computed anew, with the same values."
