"""A stand-in for readers and model: fills real stores with values that depend on file and row only."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.attribution.cautions import counted
from engine.attribution.explanation import Explanations
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.run.plan import Plan, begin, begin_attribution, make_plan
from engine.spectra.rows import Rows
from engine.spectra.scored_spectra import ScoredSpectra, SelectedSpectra
from engine.spectra.source_file import RefusedFile, ReleaseListing, SourceFile
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock, WrittenObject
from engine.store.configuration import RunConfiguration
from engine.store.routing import NO_MODEL, ModelReference
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from engine.surveys.desi.survey import DESI
from models.grid import WavelengthGrid
from models.row_status import RowStatus
from tests.place_arrays import place_arrays

GRID = WavelengthGrid("small", "linear", 6400.0, 2.0, 120)
WINDOWS = (1, 4, 16)
TARGET_ID = 39627652591521181  # beyond what a float64 holds exactly
UNREADABLE = "torn"
"""Files with this in their fingerprint cannot be read."""


def configuration(
    block_rows: int = 8, outlier_block_rows: int = 4, threshold: float = 0.25, model: str = "desi-galaxy"
) -> RunConfiguration:
    """A small configuration of three windows and two reconstruction scores."""
    return RunConfiguration(
        models=(ModelReference(model, "0123456789abcdef", ("GALAXY",), (0.0, 0.65), 3),),
        grid=GRID,
        reconstruction_scores=("mse", "chi2_lines_masked"),
        threshold=threshold,
        attribution=OcclusionSettings(windows=WINDOWS),
        block_rows=block_rows,
        outlier_block_rows=outlier_block_rows,
    )


def source_file(name: str, spectra: int, version: str = "1") -> SourceFile:
    """A file of the release ``/release``; its number gives its spectra their TARGETIDs."""
    return SourceFile(
        url=f"/release/{name}.fits",
        redshift_url=f"/release/redrock-{name}.fits",
        reader="desi-coadd",
        spectra=spectra,
        fingerprint=f"{name}-{version}",
        specprod="iron",
        survey="main",
        program="dark",
        key_prefix=f"iron/main/dark/{name}",
    )


def listing(
    *files: SourceFile, refused: Sequence[RefusedFile] = (), root: str = "/release"
) -> ReleaseListing:
    """A release of these files."""
    return ReleaseListing(root, "desi-healpix", GRID, files, tuple(refused))


RELEASE = listing(source_file("a", 13), source_file("b", 9))


def scored_block(block: ScoreBlock, settings: RunConfiguration) -> ScoredSpectra:
    """What the fake model says of a block."""
    rows, sources, seeds = [], [], []
    for part in block.slices:
        numbers = np.arange(part.start, part.stop)
        chunk = Rows.empty(part.spectra)
        data = chunk.data
        data["specprod"], data["survey"], data["program"] = "iron", "main", "dark"
        data["source_row"] = numbers
        if UNREADABLE in part.file.fingerprint:
            data["status"] = RowStatus.FILE_UNREADABLE
        else:
            first = int(hashlib.blake2b(part.file.identity.encode(), digest_size=5).hexdigest(), 16)
            data["target_id"] = TARGET_ID + first * 1000 + numbers
            data["ra"], data["dec"] = numbers * 0.1, numbers * -0.1
            data["redshift"] = 0.1 + numbers * 0.01
            data["spectype"], data["arms"] = "GALAXY", "brz"
            data["status"] = np.where(numbers % 7 == 6, RowStatus.SKY_FIBRE, RowStatus.SCORED)
        data["key"] = DESI.keys("iron/main/dark", data)
        rows.append(chunk)
        sources += [part.file.url] * part.spectra
        seeds += [f"{part.file.fingerprint}/{number}" for number in numbers.tolist()]
    joined = Rows.concatenate(rows)
    scored = joined["status"] == RowStatus.SCORED
    values = np.stack([_normal(seed, 7) for seed in seeds])
    values[~scored] = np.nan
    tail = np.where(scored, joined["source_row"] % 5 / 8, np.nan).astype(np.float32)
    return ScoredSpectra(
        rows=joined,
        source=tuple(sources),
        model=np.where(scored, 0, NO_MODEL).astype(np.int8),
        latents=values[:, :3],
        score=values[:, 3],
        tail_probability=tail,
        tail_uncertainty=tail / 2,
        reconstruction=values[:, 4:6],
        normalisation=np.abs(values[:, 6]),
        outlier=scored & (tail <= settings.threshold),
    )


def selected_of(block: ScoreBlock, scored: ScoredSpectra) -> SelectedSpectra:
    """The block's outliers as they were scored."""
    chosen = np.flatnonzero(scored.outlier)
    flux = np.empty((len(chosen), GRID.size), np.float32)
    for place, row in enumerate(chosen.tolist()):
        flux[place] = _normal(f"{scored.source[row]}/{scored.rows['source_row'][row]}", GRID.size)
    ivar = np.abs(flux[:, ::-1])
    ivar[:, :3] = 0.0
    redshift, model = scored.rows["redshift"][chosen], scored.model[chosen]
    return SelectedSpectra(block.first_row + chosen, redshift, flux, ivar, model)


def explained(spectra: Explanations) -> Explanations:
    """What the fake occlusion says of spectra that are not explained."""
    maps = np.stack([spectra.flux * width for width in WINDOWS], axis=1)
    combined = maps.mean(axis=1)
    place = GRID.wavelength()[combined.argmax(axis=1)]
    return replace(
        spectra,
        baseline=spectra.flux[:, ::-1].copy(),
        maps=maps,
        spread=np.abs(maps) / 3,
        combined=combined,
        explained_score=np.abs(spectra.flux[:, 0]),
        baseline_score=np.abs(spectra.flux[:, 1]),
        **place_arrays(place, spectra.redshift),
        cautions=(np.rint(100 * spectra.redshift) % 4).astype(np.uint16),
    )


def write_block(store: Store, block: ScoreBlock | AttributionBlock) -> BlockResult:
    """Compute and write a block; the caller commits."""
    if isinstance(block, AttributionBlock):
        explanations = explained(store.unexplained(block.rows))
        written = store.write_explanations(block, explanations)
        status = {"scored": block.spectra}
        return _result(block, status, (), (), written, counted(explanations.cautions))
    scored = scored_block(block, store.configuration)
    selected = selected_of(block, scored)
    written = (*store.write_scores(block, scored), *store.stage(block, selected))
    status = Counter(RowStatus(code).label for code in scored.rows["status"].tolist())
    torn = {part.file.url for part in block.slices if UNREADABLE in part.file.fingerprint}
    unreadable = tuple(RefusedFile(url, "truncated-file", "It ends early.") for url in sorted(torn))
    return _result(block, status, tuple(selected.row.tolist()), unreadable, written)


def write_blocks(
    store: Store, blocks: Sequence[ScoreBlock | AttributionBlock], snapshot: Snapshot
) -> Snapshot:
    """Write and commit blocks; the snapshot with them."""
    results = []
    for block in blocks:
        results.append(write_block(store, block))
        store.ledger.commit(results[-1])
    return snapshot.with_results(results)


def run(
    store: Store, release: ReleaseListing, *, score_blocks: int | None = None, explain: bool = True
) -> Plan:
    """A whole run, or one that is killed after so many score blocks."""
    snapshot = snapshot_of(store)
    plan = make_plan(release, snapshot, store.configuration)
    snapshot = begin(store, plan, snapshot)
    snapshot = write_blocks(store, plan.blocks[:score_blocks], snapshot)
    if score_blocks is None:
        snapshot = store.mark_superseded(snapshot, snapshot.newly_superseded)
        if explain:
            snapshot = begin_attribution(store, snapshot)
            write_blocks(store, snapshot.unexplained_blocks, snapshot)
            store.clear_staging()
    return plan


# What a run does with one snapshot, each with the ledger read anew.


def snapshot_of(store: Store) -> Snapshot:
    """The store's ledger now."""
    return Snapshot.read(store.ledger)


def plan_of(store: Store, release: ReleaseListing) -> Plan:
    """The plan of a run with the store's own configuration."""
    return make_plan(release, snapshot_of(store), store.configuration)


def begin_plan(store: Store, plan: Plan) -> None:
    """Save a plan and make room for it."""
    begin(store, plan, snapshot_of(store))


def attribution_blocks(store: Store) -> tuple[AttributionBlock, ...]:
    """Attribution blocks to run, saved in the ledger."""
    return begin_attribution(store, snapshot_of(store)).unexplained_blocks


def superseded_rows(store: Store) -> tuple[int, ...]:
    """Rows that newer rows replace and that are not flagged yet."""
    return tuple(snapshot_of(store).newly_superseded.tolist())


def mark_superseded(store: Store, rows: Sequence[int]) -> None:
    """Flag rows as replaced."""
    store.mark_superseded(snapshot_of(store), np.array(rows, np.int64))


def mark_gone(store: Store, rows: Sequence[int]) -> None:
    """Flag rows as of files that have vanished."""
    store.mark_gone(snapshot_of(store), np.array(rows, np.int64))


def tree_of(directory: Path) -> dict[str, bytes]:
    """Every file below a directory with its bytes."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def _result(
    block: ScoreBlock | AttributionBlock,
    status: dict[str, int],
    outliers: tuple[int, ...],
    unreadable: tuple[RefusedFile, ...],
    written: tuple[WrittenObject, ...],
    cautions: tuple[tuple[str, int], ...] = (),
) -> BlockResult:
    return BlockResult(
        kind=block.kind,
        index=block.index,
        plan=block.plan,
        spectra=block.spectra,
        status_counts=tuple(sorted(status.items())),
        outliers=outliers,
        unreadable=unreadable,
        objects=tuple(sorted(written, key=lambda each: each.path)),
        caution_counts=cautions,
    )


def _normal(seed: str, count: int) -> NDArray[np.float32]:
    number = int(hashlib.blake2b(seed.encode(), digest_size=8).hexdigest(), 16)
    return np.random.default_rng(number).normal(size=count).astype(np.float32)
