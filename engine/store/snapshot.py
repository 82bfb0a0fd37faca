"""Snapshot of a ledger: its plans, finished blocks and flags as read once, and what follows from them.

A command reads the ledger into a snapshot and hands it on. What the command commits itself extends the
snapshot: the result is what a new reading would find, because nobody else writes while it has the lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.spectra.source_file import SourceFile
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.entries import FlaggedRows, joined_rows
from engine.store.file_versions import FileVersion, rows_to_mark, versions_by_identity
from engine.store.ledger import Ledger
from engine.store.objects import OnDamage, raised
from engine.store.saved_plans import AttributionPlan, ScorePlan, in_order
from engine.store.schema import FLAGS, FlagName


def _no_flags() -> Mapping[FlagName, Mapping[int, FlaggedRows]]:
    return {flag: {} for flag in FLAGS}


@dataclass(frozen=True)
class Snapshot:
    """A ledger at one time; without arguments, that of a store with nothing in it.

    Attributes
    ----------
    plans, attribution_plans : saved plans, in the order of their blocks.
    scored, explained : finished blocks of either kind by index, ascending.
    flagged : rows that carry a flag, by flag and score block.
    """

    plans: tuple[ScorePlan, ...] = ()
    attribution_plans: tuple[AttributionPlan, ...] = ()
    scored: Mapping[int, BlockResult] = field(default_factory=dict)
    explained: Mapping[int, BlockResult] = field(default_factory=dict)
    flagged: Mapping[FlagName, Mapping[int, FlaggedRows]] = field(default_factory=_no_flags)

    @classmethod
    def read(cls, ledger: Ledger, on_damage: OnDamage = raised) -> Snapshot:
        """The ledger now, each entry read once. What refers to other entries is read before them.

        Raises
        ------
        StoreError : an entry is damaged, unless ``on_damage`` returns.
        """
        flagged = {flag: ledger.flagged(flag, on_damage) for flag in FLAGS}
        explained = ledger.results("attribution", on_damage)
        scored = ledger.results("score", on_damage)
        attribution_plans = ledger.attribution_plans(on_damage)
        return cls(ledger.plans(on_damage), attribution_plans, scored, explained, flagged)

    def with_plan(self, plan: ScorePlan | AttributionPlan) -> Snapshot:
        """The snapshot after a plan was saved."""
        if isinstance(plan, ScorePlan):
            return replace(self, plans=in_order((*self.plans, plan)))
        return replace(self, attribution_plans=in_order((*self.attribution_plans, plan)))

    def with_results(self, results: Iterable[BlockResult]) -> Snapshot:
        """The snapshot after blocks were committed, or committed anew."""
        scored, explained = dict(self.scored), dict(self.explained)
        for result in results:
            (scored if result.kind == "score" else explained)[result.index] = result
        return replace(self, scored=dict(sorted(scored.items())), explained=dict(sorted(explained.items())))

    def with_flags(self, entries: Iterable[FlaggedRows]) -> Snapshot:
        """The snapshot after flags were saved; entries without rows were dropped."""
        flagged = {flag: dict(blocks) for flag, blocks in self.flagged.items()}
        for entry in entries:
            flagged[entry.flag][entry.block] = entry
        return replace(
            self,
            flagged={
                flag: {block: blocks[block] for block in sorted(blocks) if blocks[block].ranges}
                for flag, blocks in flagged.items()
            },
        )

    @cached_property
    def files(self) -> dict[str, SourceFile]:
        """The files of all plans by URL, each as it was when it was last planned."""
        return {file.url: file for plan in self.plans for file in plan.files}

    @cached_property
    def versions(self) -> dict[str, list[FileVersion]]:
        """All versions of the same spectra by the identity of their file, oldest first."""
        return versions_by_identity(self.plans, self.scored)

    @property
    def unreadable_files(self) -> frozenset[str]:
        """Fingerprints of the files that could not be read when they were last planned."""
        if not any(result.unreadable for result in self.scored.values()):
            return frozenset()
        latest = (versions[-1] for versions in self.versions.values())
        return frozenset(version.fingerprint for version in latest if version.state == "unreadable")

    @property
    def newly_superseded(self) -> NDArray[np.int64]:
        """Committed rows, ascending, that newer rows replace and that are not flagged yet."""
        return rows_to_mark(self.versions, self.flagged["superseded"])

    def flag_changes(self, name: FlagName, rows: NDArray[np.int64]) -> int:
        """Number of rows that would get or lose a flag if these had it."""
        return len(np.setxor1d(self.rows_flagged(name), rows))

    def rows_flagged(self, flag: FlagName) -> NDArray[np.int64]:
        """Rows that carry a flag, ascending."""
        return joined_rows(self.flagged[flag].values())

    @property
    def current_outliers(self) -> NDArray[np.int64]:
        """Rows of outliers, ascending, that are not superseded."""
        return self._outliers_besides(())

    @property
    def waiting_outliers(self) -> NDArray[np.int64]:
        """Rows of outliers, ascending, that are not superseded and whose explanation is not committed."""
        plans = self.attribution_plans
        return self._outliers_besides(
            block.rows for plan in plans for block in plan.blocks if block.index in self.explained
        )

    @property
    def unplanned_outliers(self) -> NDArray[np.int64]:
        """Rows of outliers, ascending, that are not superseded and that no attribution plan has."""
        return self._outliers_besides(plan.rows for plan in self.attribution_plans)

    @property
    def score_stop(self) -> int:
        """Index after the last score block that was ever planned."""
        return max([plan.stop_block for plan in self.plans] + [index + 1 for index in self.scored], default=0)

    @property
    def attribution_stop(self) -> int:
        """Index after the last attribution block that was ever planned."""
        stops = [plan.stop_block for plan in self.attribution_plans]
        return max(stops + [index + 1 for index in self.explained], default=0)

    @property
    def unscored_blocks(self) -> tuple[ScoreBlock, ...]:
        """Planned score blocks that are not finished, ascending."""
        # The blocks of a finished plan, which names tens of thousands of files, are not made.
        plans = [plan for plan in self.plans if not self.scored.keys() >= set(plan.block_indices)]
        return tuple(block for plan in plans for block in plan.blocks if block.index not in self.scored)

    @property
    def unexplained_blocks(self) -> tuple[AttributionBlock, ...]:
        """Planned attribution blocks that are not finished, ascending."""
        plans = self.attribution_plans
        return tuple(block for plan in plans for block in plan.blocks if block.index not in self.explained)

    @property
    def spectra(self) -> int:
        """Number of committed spectra, superseded ones included."""
        return sum(result.spectra for result in self.scored.values())

    @property
    def outliers(self) -> int:
        """Number of outliers among them."""
        return sum(len(result.outliers) for result in self.scored.values())

    def _outliers_besides(self, parts: Iterable[tuple[int, ...]]) -> NDArray[np.int64]:
        """Outliers, ascending, that are in none of these parts and not superseded."""
        outliers = _joined(result.outliers for result in self.scored.values())
        done = np.concatenate([_joined(parts), self.rows_flagged("superseded")])
        return np.sort(outliers[~np.isin(outliers, done)])


def _joined(parts: Iterable[tuple[int, ...]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *(np.array(part, np.int64) for part in parts)])
