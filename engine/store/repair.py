"""Plan of a repair: what must be done about the faults that a verification found.

A block's objects are computed again from its source files, with the same values. This does not need the
block's ledger entry: the saved plans say which spectra are in a block. A damaged attribution block needs
its spectra, but staging was cleared when the run was complete. They are taken from the block itself where
their objects are whole, else their score blocks are scored again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from engine.spectra.scored_spectra import SelectedSpectra
from engine.store.blocks import AttributionBlock, BlockKind, ScoreBlock, WrittenObject
from engine.store.catalogue_manifest import MANIFEST, is_file_path
from engine.store.entries import ExplanationSetEntry, FlaggedRows, ranges_of
from engine.store.evidence import Evidence, Fault
from engine.store.explanation_set import recovered_entry
from engine.store.hierarchy import array_document
from engine.store.ledger import explanation_set_path, flags_path, result_path
from engine.store.object_checks import block_of
from engine.store.saved_plans import AttributionPlan
from engine.store.schema import ARRAYS, BY_PATH, FLAGS, FlagName
from engine.store.set_entries import FOLDER, set_folder
from engine.store.staging import staging_path
from engine.store.stored_arrays import open_array
from models.digests import digest_of
from models.errors import ErrorKind, StoreError

_SPECTRA = ("row", "redshift", "flux", "ivar", "model")
"""Arrays of an attribution block with its spectra exactly as they were scored."""


@dataclass(frozen=True)
class Repair:
    """What must be done, in this order; without arguments, nothing.

    Attributes
    ----------
    documents : objects that follow from the configuration and the plans, by path.
    plans : attribution plans whose object is lost, recovered from the rows of the explained blocks.
    sets : entries of sets of explanations that are lost, recovered from the attributes of their groups.
    flag_entries : records of flagged rows that are lost, recovered from the objects of the flags.
    flags : flags of score blocks to be written again as they are recorded.
    orphans : objects of blocks that no plan has; to be deleted.
    score_blocks : blocks to score again.
    own_spectra : damaged attribution blocks in which the spectra that they need are whole.
    needs : other damaged attribution blocks, by index, and the score blocks that must be scored again
        before, for their spectra.
    attribution_blocks : blocks to explain again.
    catalogue : whether something of the catalogue is damaged; it is then made anew.
    unrepairable : faults that only a copy of the store, or its user, can repair.
    """

    documents: Mapping[str, bytes] = field(default_factory=dict)
    plans: tuple[AttributionPlan, ...] = ()
    sets: tuple[ExplanationSetEntry, ...] = ()
    flag_entries: tuple[FlaggedRows, ...] = ()
    flags: tuple[tuple[FlagName, int], ...] = ()
    orphans: tuple[str, ...] = ()
    score_blocks: tuple[ScoreBlock, ...] = ()
    own_spectra: tuple[AttributionBlock, ...] = ()
    needs: Mapping[int, frozenset[int]] = field(default_factory=dict)
    attribution_blocks: tuple[AttributionBlock, ...] = ()
    catalogue: bool = False
    unrepairable: tuple[Fault, ...] = ()

    @property
    def has_work(self) -> bool:
        """Whether anything can be done."""
        return bool(
            self.documents
            or self.plans
            or self.sets
            or self.flag_entries
            or self.flags
            or self.orphans
            or self.score_blocks
            or self.attribution_blocks
            or self.catalogue
        )

    @property
    def blocks(self) -> tuple[ScoreBlock | AttributionBlock, ...]:
        """Blocks to be run again."""
        return (*self.score_blocks, *self.attribution_blocks)

    def without(self, lost: Mapping[int, str]) -> Repair:
        """The same without score blocks that cannot be scored again (index, why), nor what needs them."""
        remedy = "Restore the file as it was read, or the block's objects from a copy of the store."
        unrepairable = [
            Fault("source-changed", result_path("score", index), why, remedy) for index, why in lost.items()
        ]
        stuck = {index for index, needed in self.needs.items() if needed & set(lost)}
        for index in sorted(stuck):
            why = "; ".join(lost[block] for block in sorted(self.needs[index] & set(lost)))
            unrepairable.append(Fault("source-changed", result_path("attribution", index), why, remedy))
        return replace(
            self,
            score_blocks=tuple(block for block in self.score_blocks if block.index not in lost),
            attribution_blocks=tuple(block for block in self.attribution_blocks if block.index not in stuck),
            unrepairable=(*self.unrepairable, *unrepairable),
        )


def plan_repair(evidence: Evidence, faults: tuple[Fault, ...]) -> Repair:
    """Decide what is to be done about the faults of a store. Nothing is written.

    Nothing is to be done while something else is in the place of an object: what somebody put there, somebody
    must delete, and what lies behind it is not known.
    """
    if foreign := tuple(fault for fault in faults if fault.kind == ErrorKind.FOREIGN_OBJECT):
        return Repair(unrepairable=foreign)
    bad = {fault.where for fault in faults}
    documents = {path: data for path, data in _documents(evidence).items() if path in bad}
    plans = _recovered_plans(evidence, bad)
    sets = _recovered_sets(evidence, bad)
    of_sets = {path for each in sets for path in (set_folder(each.name), explanation_set_path(each.name))}
    damaged: set[tuple[BlockKind, int]] = set()
    flags: list[tuple[FlagName, int]] = []
    entries: list[FlaggedRows] = []
    orphans: list[str] = []
    unrepairable: list[Fault] = []
    catalogue = False
    for fault in faults:
        block, flag = block_of(fault.where), _flag_of(fault.where)
        if fault.where == MANIFEST or is_file_path(fault.where):
            catalogue = True
            continue
        if fault.where in of_sets or fault.where in documents:
            continue  # restored
        if fault.kind in ("lock-damaged", "not-an-outlier"):
            continue  # replaced by the repair's own lock; the score block has a fault of its own
        if fault.kind == "uncommitted-objects" and block is not None and block not in evidence.planned_blocks:
            orphans += [path for path in evidence.sizes if block_of(path) == block]
        elif flag is not None and fault.kind == "ledger-damaged":
            entries.append(_recovered_flags(evidence, *flag, bad))
        elif flag is not None and fault.kind != "uncommitted-objects":
            flags.append(flag)
        elif fault.where.startswith("staging/"):
            damaged.add(("score", int(fault.where.removeprefix("staging/").partition(".")[0])))
        elif block in evidence.planned_blocks and fault.kind != "plan-missing":
            damaged.add(block)
        elif not _is_of(fault, plans, evidence):
            unrepairable.append(fault)
    again = [_attribution(evidence, index) for kind, index in sorted(damaged) if kind == "attribution"]
    # A set takes its spectra from the store, which is repaired before.
    taken = [] if evidence.entry is not None else again
    own = tuple(block for block in taken if _has_own_spectra(evidence, block, bad))
    needs = {block.index: _unstaged(evidence, block, bad) for block in taken if block not in own}
    scored = {index for kind, index in damaged if kind == "score"}.union(*needs.values())
    unplanned = {index for index in scored if ("score", index) not in evidence.planned_blocks}
    repair = Repair(
        documents=documents,
        plans=plans,
        sets=sets,
        flag_entries=tuple(entries),
        flags=tuple(flags),
        orphans=tuple(orphans),
        score_blocks=tuple(_scored(evidence, index) for index in sorted(scored - unplanned)),
        own_spectra=own,
        needs=needs,
        attribution_blocks=tuple(again),
        catalogue=catalogue,
        unrepairable=tuple(unrepairable),
    )
    return repair.without(dict.fromkeys(sorted(unplanned), "the plan of this block is lost"))


def own_spectra(evidence: Evidence, block: AttributionBlock) -> SelectedSpectra:
    """The spectra of an attribution block, from its own arrays."""
    start, stop = block.first_row, block.first_row + block.spectra
    return SelectedSpectra(
        **{
            name: open_array(evidence.objects, evidence.configuration, f"outliers/{name}")[start:stop]
            for name in _SPECTRA
        }
    )


def _documents(evidence: Evidence) -> dict[str, bytes]:
    """Every object that follows from the configuration and the plans, by path; not the root's."""
    stops: dict[BlockKind, int] = {"score": 0, "attribution": 0}
    for kind, index in evidence.planned_blocks:
        stops[kind] = max(stops[kind], index + 1)
    documents = dict(evidence.documents)
    if evidence.entry is None:
        del documents["zarr.json"]
    for spec in (spec for spec in ARRAYS if f"{spec.path}/zarr.json" in documents):
        length = stops[spec.kind] * spec.shard_shape(evidence.configuration)[0]
        documents[f"{spec.path}/zarr.json"] = array_document(spec, evidence.configuration, length)
    return documents


def _flag_of(path: str) -> tuple[FlagName, int] | None:
    """The flag and score block whose flags, or whose record of them, an object is."""
    for flag, spec in FLAGS.items():
        number = path.rpartition("/")[2].removesuffix(".json")
        if number.isdecimal() and path in (flags_path(flag, int(number)), spec.object_path(int(number))):
            return flag, int(number)
    return None


def _recovered_flags(evidence: Evidence, flag: FlagName, block: int, bad: set[str]) -> FlaggedRows:
    """A block's flagged rows from the object of the flags; none where that is damaged, too."""
    spec, planned = FLAGS[flag], evidence.planned_blocks.get(("score", block))
    path = spec.object_path(block)
    rows, data = np.empty(0, np.int64), b""
    if planned is not None and evidence.is_file(path) and f"{spec.path}/zarr.json" not in bad:
        first = planned.first_row
        try:
            array = open_array(evidence.objects, evidence.configuration, spec.path)
            rows = np.flatnonzero(array[first : first + planned.spectra]) + first
            data = evidence.objects.get(path)
        except StoreError:
            rows = np.empty(0, np.int64)  # its checksum or its compression says that it is damaged
    written = WrittenObject(path, len(data), digest_of(data))
    return FlaggedRows(flag, block, ranges_of(rows), written)


def _recovered_plans(evidence: Evidence, bad: set[str]) -> tuple[AttributionPlan, ...]:
    """Lost attribution plans whose rows, read from their blocks, give a plan of the same digest."""
    known = {plan.digest for plan in evidence.plans}
    lost: dict[str, list[int]] = {}
    for result in evidence.snapshot.explained.values():
        if result.plan not in known:
            lost.setdefault(result.plan, []).append(result.index)
    spec, capacity = BY_PATH["outliers/row"], evidence.configuration.outlier_block_rows
    plans = []
    for digest, blocks in lost.items():
        first, stop = min(blocks), max(blocks) + 1
        if len(blocks) < stop - first or bad & {f"{spec.path}/zarr.json", *map(spec.object_path, blocks)}:
            continue
        array = open_array(evidence.objects, evidence.configuration, spec.path)
        rows = array[first * capacity : stop * capacity]
        plan = AttributionPlan(first, capacity, tuple(rows[rows >= 0].tolist()))
        if plan.digest == digest:
            plans.append(plan)
    return tuple(plans)


def _recovered_sets(evidence: Evidence, bad: set[str]) -> tuple[ExplanationSetEntry, ...]:
    """Entries of sets that are lost, from the attributes of the sets' groups."""
    lost = {path.split("/")[1] for path in bad if path.startswith(f"{FOLDER}/")}
    lost |= {_stem(path) for path in bad if path == explanation_set_path(_stem(path))}
    found = (recovered_entry(evidence.objects, evidence.configuration, name) for name in sorted(lost))
    return tuple(entry for entry in found if entry is not None)


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".json")


def _is_of(fault: Fault, plans: tuple[AttributionPlan, ...], evidence: Evidence) -> bool:
    """Whether a fault is that of a lost plan that was recovered."""
    digests = {plan.digest for plan in plans}
    block = block_of(fault.where)
    if block is not None and block[0] == "attribution" and block[1] in evidence.snapshot.explained:
        return evidence.snapshot.explained[block[1]].plan in digests
    return fault.where.removeprefix("ledger/plans/attribution-").removesuffix(".json") in digests


def _has_own_spectra(evidence: Evidence, block: AttributionBlock, bad: set[str]) -> bool:
    """Whether the objects of the block's spectra are whole, judged by its entry."""
    result = evidence.snapshot.explained.get(block.index)
    if result is None:
        return False
    objects = {BY_PATH[f"outliers/{name}"].object_path(block.index) for name in _SPECTRA}
    documents = {f"outliers/{name}/zarr.json" for name in _SPECTRA}
    there = {each.path for each in result.objects} & set(evidence.sizes)
    if not objects <= there or (objects | documents) & bad:
        return False
    return tuple(own_spectra(evidence, block).row.tolist()) == block.rows


def _unstaged(evidence: Evidence, block: AttributionBlock, bad: set[str]) -> frozenset[int]:
    """Score blocks of a block's spectra that have no whole staging object."""
    blocks = {row // evidence.configuration.block_rows for row in block.rows}
    whole = set(evidence.sizes) - bad
    return frozenset(index for index in blocks if staging_path(index) not in whole)


def _scored(evidence: Evidence, index: int) -> ScoreBlock:
    block = evidence.planned_blocks["score", index]
    assert isinstance(block, ScoreBlock)  # noqa: S101 - its kind says so
    return block


def _attribution(evidence: Evidence, index: int) -> AttributionBlock:
    block = evidence.planned_blocks["attribution", index]
    assert isinstance(block, AttributionBlock)  # noqa: S101 - its kind says so
    return block
