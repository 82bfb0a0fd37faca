"""The plan of a run: what a release holds that the store does not, as immutable blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

from engine.spectra.source_file import FILE_LIST, RefusedFile, ReleaseListing, SourceFile
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.checksummed import canonical
from engine.store.configuration import RunConfiguration
from engine.store.file_versions import (
    FileVersion,
    rows_of_vanished,
    rows_to_mark,
    stored_versions,
    versions_by_url,
)
from engine.store.objects import digest_of
from engine.store.saved_plans import AttributionPlan, ScorePlan
from engine.store.store import Store, check_configuration
from models.errors import ConfigurationError, ErrorKind, InputError

FileState = Literal["new", "changed", "retry", "unfinished", "unchanged", "gone", "refused", "skipped"]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file of the release or of the store, and how the two compare.

    ``state`` is one of: new; changed (other fingerprint than in the store); retry (it could not be
    read before); unfinished (its blocks are of an earlier run that did not end); unchanged; gone
    (in the store, no longer in the release: its rows stay); refused (quarantined when listed); skipped
    (not there although the release names it, or its spectra are in another file: nothing is to be done).
    """

    url: str
    state: FileState
    spectra: int


@dataclass(frozen=True)
class Plan:
    """What a run will do. The same release and store give the same plan.

    Attributes
    ----------
    files : every file with its state, in the order of the listing, then those that are gone; those
        skipped are in ``skipped`` alone.
    addition : new rows, to be saved in the ledger before work starts; ``None`` if there are none.
    blocks : blocks still to do: those of earlier runs that did not end first, then the addition's.
    superseded : number of rows that the run's new rows will replace.
    score_blocks : blocks that the store must have room for.
    refused, skipped : files that the listing refused, and that it skipped.
    """

    files: tuple[PlannedFile, ...]
    addition: ScorePlan | None
    blocks: tuple[ScoreBlock, ...]
    superseded: int
    score_blocks: int
    refused: tuple[RefusedFile, ...]
    skipped: tuple[RefusedFile, ...]
    configuration_digest: str

    @property
    def spectra(self) -> int:
        """Number of spectra in the blocks to do."""
        return sum(block.spectra for block in self.blocks)

    @cached_property
    def counts(self) -> dict[FileState, int]:
        """Number of files by state, every state named."""
        counts = Counter(file.state for file in self.files)
        counts["skipped"] = len(self.skipped)
        return {state: counts[state] for state in get_args(FileState)}

    @property
    def gone_files(self) -> tuple[str, ...]:
        """URLs of files in the store that the release holds no longer."""
        return tuple(file.url for file in self.files if file.state == "gone")

    @cached_property
    def digest(self) -> str:
        """Hex digest of what is to be done with which configuration."""
        return digest_of(
            canonical(
                {
                    "configuration": self.configuration_digest,
                    "addition": self.addition.digest if self.addition else "",
                    "blocks": [[block.plan, block.index] for block in self.blocks],
                    "superseded": self.superseded,
                    "refused": sorted([file.url, file.kind] for file in self.refused),
                }
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready summary; files that are unchanged are counted, not listed."""
        return {
            "digest": self.digest,
            "configuration_digest": self.configuration_digest,
            "files": dict(self.counts),
            "blocks": len(self.blocks),
            "spectra": self.spectra,
            "superseded": self.superseded,
            "changes": [
                {"url": file.url, "state": file.state, "spectra": file.spectra}
                for file in self.files
                if file.state != "unchanged"
            ],
            "refused": [asdict(file) for file in self.refused],
            "skipped": [asdict(file) for file in self.skipped],
        }


def make_plan(listing: ReleaseListing, store: Store | None, configuration: RunConfiguration) -> Plan:
    """Compare a release with a store (``None``: there is none yet) and plan what is missing.

    Blocks of earlier plans that were not finished keep their place and content. Spectra of files
    that are new, have changed or could not be read before fill the blocks after the last planned
    one, in the order of the listing. Nothing is written; see :func:`begin`.

    Raises
    ------
    ConfigurationError : the store was made with another configuration, or the release's grid is not
        the configuration's.
    InputError : a file is listed twice.
    StoreError : the ledger is damaged.
    """
    _check_grid(listing, configuration)
    plans: tuple[ScorePlan, ...] = ()
    results: dict[int, BlockResult] = {}
    if store is not None:
        check_configuration(store, configuration)
        plans, results = store.ledger.plans(), store.ledger.results("score")
    versions = versions_by_url(plans, results)
    files, wanted = _compare(listing, plans, versions)
    stop = max([plan.stop_block for plan in plans] + [index + 1 for index in results], default=0)
    addition = None
    if wanted:
        addition = ScorePlan(
            root=listing.root,
            layout=listing.layout,
            first_block=stop,
            capacity=configuration.block_rows,
            files=tuple(wanted),
            refused=listing.refused,
            number=len(plans),
        )
        stop = addition.stop_block
    added = addition.blocks if addition else ()
    unfinished = tuple(block for plan in plans for block in plan.blocks if block.index not in results)
    return Plan(
        files=tuple(files),
        addition=addition,
        blocks=unfinished + added,
        superseded=_count_superseded(store, versions, addition),
        score_blocks=stop,
        refused=listing.refused,
        skipped=listing.skipped,
        configuration_digest=configuration.digest,
    )


def known_files(store: Store) -> dict[str, SourceFile]:
    """The files of a store's plans by URL, each as it was when it was last planned.

    For :func:`engine.surveys.listing.list_release`, which need not open what has not changed since.

    Raises
    ------
    StoreError : the ledger is damaged.
    """
    return {file.url: file for plan in store.ledger.plans() for file in plan.files}


def begin(store: Store, plan: Plan) -> None:
    """Save what a plan adds and make room for it; for the coordinator, before work starts.

    From here on the blocks are fixed: a run that is killed is continued by :func:`make_plan`.

    Raises
    ------
    ConfigurationError : another run started on the store in the meantime.
    """
    if plan.addition is not None:
        store.ledger.save_plan(plan.addition)
        _refuse_overlap(store, plan.addition)
    store.grow(plan.score_blocks, 0)


def superseded_rows(store: Store) -> tuple[int, ...]:
    """Committed rows that newer rows replace and that are not marked yet, ascending.

    For :meth:`engine.store.store.Store.mark_superseded` once the blocks of a run are committed.
    """
    versions = stored_versions(store.ledger)
    return tuple(rows_to_mark(versions, store.ledger.superseded()).tolist())


def gone_rows(store: Store, plan: Plan, listing: ReleaseListing) -> tuple[int, ...]:
    """Committed rows, ascending, of files that have vanished from their release, superseded ones left out.

    Of files that neither the plan calls gone nor the listing has, what the store says stays true.

    For :meth:`engine.store.store.Store.mark_gone` once the blocks of a run are committed.
    """
    versions = stored_versions(store.ledger)
    urls = {file.url for file in listing.files} | {file.url for file in listing.refused}
    fingerprints = {file.fingerprint for file in listing.files}
    gone = set(plan.gone_files)
    there = {
        url for url, each in versions.items() if url in urls or each[-1].fingerprint in fingerprints
    } - gone
    return tuple(rows_of_vanished(versions, gone, there, store.ledger.flagged("gone")).tolist())


def gone_changes(store: Store, plan: Plan, listing: ReleaseListing) -> int:
    """Number of committed rows that a run would flag as gone, or take that flag from."""
    flagged = {row for entry in store.ledger.flagged("gone").values() for row in entry.rows.tolist()}
    return len(flagged.symmetric_difference(gone_rows(store, plan, listing)))


def attribution_blocks(store: Store) -> tuple[AttributionBlock, ...]:
    """Attribution blocks still to do: outliers of committed score blocks without an explanation.

    Outliers that no saved plan has yet, ascending and without superseded ones, fill new blocks after
    the last planned one. The assignment is saved in the ledger, and room is made for it, before this
    returns: after a kill the same blocks come back.

    Raises
    ------
    ConfigurationError : another run started on the store in the meantime.
    StoreError : the ledger is damaged.
    """
    ledger = store.ledger
    plans, explained = ledger.attribution_plans(), ledger.results("attribution")
    planned = {row for plan in plans for row in plan.rows}
    planned.update(row for entry in ledger.superseded().values() for row in entry.rows.tolist())
    outliers = (row for result in ledger.results("score").values() for row in result.outliers)
    rows = tuple(sorted(row for row in outliers if row not in planned))
    if rows:
        first = max([plan.stop_block for plan in plans] + [index + 1 for index in explained], default=0)
        addition = AttributionPlan(first, store.configuration.outlier_block_rows, rows)
        ledger.save_plan(addition)
        _refuse_overlap(store, addition)
        plans = (*plans, addition)
    store.grow(0, max((plan.stop_block for plan in plans), default=0))
    return tuple(block for plan in plans for block in plan.blocks if block.index not in explained)


def choose_block_rows(spectra: int) -> int:
    """Spectra per score block for a release of that size: about a 64th of it, 256 to 16384.

    A power of two. Many blocks per worker, so that none waits long for the last; a full release (28
    million spectra in DESI DR1) makes about 1,700 blocks.
    """
    return _power_of_two(spectra / 64, 256, 16384)


def choose_outlier_block_rows(spectra: int, threshold: float) -> int:
    """Explanations per attribution block: about a 64th of the expected outliers, 8 to 256."""
    return _power_of_two(spectra * threshold / 64, 8, 256)


def _power_of_two(wanted: float, least: int, most: int) -> int:
    power = least
    while power < min(wanted, most):
        power *= 2
    return power


def _compare(
    listing: ReleaseListing,
    plans: tuple[ScorePlan, ...],
    versions: Mapping[str, list[FileVersion]],
) -> tuple[list[PlannedFile], list[SourceFile]]:
    """State of every file, and the files that need rows."""
    listed = Counter(file.url for file in listing.files)
    for url, count in listed.items():
        if count > 1:
            raise InputError(
                "A file is listed more than once: its spectra would be stored twice.",
                where=url,
                got=f"{count} times",
                allowed="once",
                remedy="Name every file or directory of the release once.",
                kind=ErrorKind.LISTED_TWICE,
            )
    refused_before = {file.url for plan in plans for file in plan.refused}
    # A release that was moved keeps its rows: its files are known again by their content.
    moved = {each[-1].fingerprint: each[-1] for url, each in versions.items() if url not in listed}
    known: set[str] = set()
    files: list[PlannedFile] = []
    wanted: list[SourceFile] = []
    for file in listing.files:
        latest = versions[file.url][-1] if file.url in versions else moved.get(file.fingerprint)
        if latest is None:
            state: FileState = "retry" if file.url in refused_before else "new"
        else:
            known.add(latest.file.url)
            state = _state(file, latest)
        files.append(PlannedFile(file.url, state, file.spectra))
        if state in ("new", "changed", "retry"):
            wanted.append(file)
    files += [PlannedFile(file.url, "refused", 0) for file in listing.refused]
    known |= {file.url for file in listing.refused}
    files += [
        PlannedFile(url, "gone", size) for url, size in _once_listed(listing, plans) if url not in known
    ]
    return files, wanted


def _once_listed(listing: ReleaseListing, plans: tuple[ScorePlan, ...]) -> Iterable[tuple[str, int]]:
    """URL and size of files that earlier listings of the same place by the same layout had.

    None for files given one by one: what else lies beside them they do not say.
    """
    if listing.layout == FILE_LIST:
        return ()
    same = (plan for plan in plans if (plan.root, plan.layout) == (listing.root, listing.layout))
    return {file.url: file.spectra for plan in same for file in plan.files}.items()


def _state(file: SourceFile, latest: FileVersion) -> FileState:
    if file.fingerprint != latest.fingerprint:
        return "changed"
    states: dict[str, FileState] = {
        "unfinished": "unfinished",
        "unreadable": "retry",
        "readable": "unchanged",
    }
    return states[latest.state]


def _count_superseded(
    store: Store | None, versions: Mapping[str, list[FileVersion]], addition: ScorePlan | None
) -> int:
    """Rows that will be replaced if every file can be read."""
    if store is None:
        return 0
    after = {url: [_read(version) for version in each] for url, each in versions.items()}
    for file in addition.files if addition else ():
        after.setdefault(file.url, []).append(FileVersion(file, 0, 0, "readable"))
    return len(rows_to_mark(after, store.ledger.superseded()))


def _read(version: FileVersion) -> FileVersion:
    return replace(version, state="readable") if version.state == "unfinished" else version


def _refuse_overlap(store: Store, addition: ScorePlan | AttributionPlan) -> None:
    """Withdraw a plan if another run planned the same blocks at the same time."""
    saved: tuple[ScorePlan | AttributionPlan, ...] = (
        store.ledger.plans() if isinstance(addition, ScorePlan) else store.ledger.attribution_plans()
    )
    others = [plan for plan in saved if plan.digest != addition.digest]
    if any(
        plan.first_block < addition.stop_block and addition.first_block < plan.stop_block for plan in others
    ):
        store.ledger.withdraw_plan(addition)
        raise ConfigurationError(
            "Another run started on this store at the same time.",
            where=store.url,
            got=f"blocks {addition.first_block} to {addition.stop_block - 1} are planned twice",
            allowed="one run at a time on a store",
            remedy="Wait for the other run to end, then run again.",
            kind=ErrorKind.CONCURRENT_RUN,
        )


def _check_grid(listing: ReleaseListing, configuration: RunConfiguration) -> None:
    if listing.grid != configuration.grid:
        raise ConfigurationError(
            "The release is on another wavelength grid than the model and the store.",
            where=listing.root,
            got=listing.grid.to_dict(),
            allowed=configuration.grid.to_dict(),
            remedy="Choose the model of that instrument and a --store of its own: one store, one grid.",
            kind=ErrorKind.OTHER_GRID,
        )
