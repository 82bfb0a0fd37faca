"""A small real store with synthetic scores, explanations and statuses, for tests of what reads stores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.attribution.cautions import Caution, counted
from engine.attribution.explanation import Explanations
from engine.attribution.method import MethodSettings, Units
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.run.plan import begin_set
from engine.spectra.rows import Rows
from engine.spectra.scored_spectra import ScoredSpectra, SelectedSpectra
from engine.spectra.sky_position import healpix_29
from engine.spectra.source_file import RefusedFile, SourceFile
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.configuration import RunConfiguration
from engine.store.entries import ExplanationSetEntry
from engine.store.explanation_set import ExplanationSet, make_set
from engine.store.reading import StoreView
from engine.store.routing import NO_MODEL, ModelReference
from engine.store.saved_plans import AttributionPlan, ScorePlan
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from engine.surveys.desi.survey import DESI
from models.causes.quantities import QUANTITIES
from models.grid import WavelengthGrid
from models.row_status import RowStatus
from tests.engine.clustering.synthetic import SMALL_GRID, Synthetic, synthetic
from tests.place_arrays import place_arrays

FIRST_TARGET = 39_633_559_463_397_282 * 100  # 19 digits: no float64 holds its neighbours
SPECTRA = 150
BLOCK = 64
OUTLIER_BLOCK = 16
EVERY = 4
_REDSHIFT = np.array([[name == "redshift" for name in QUANTITIES]])
THRESHOLD = 0.01
WINDOWS = (1, 8, 64)


@dataclass(frozen=True)
class SyntheticStore:
    """The store and what was put into it, row by row (padding left out)."""

    url: str
    rows: Rows
    source: tuple[str, ...]
    score: NDArray[np.float32]
    tail: NDArray[np.float32]
    outlier: NDArray[np.bool_]
    explained: Synthetic
    place_wavelength: NDArray[np.float64]
    cautions: NDArray[np.uint16]


def synthetic_store(
    url: Path,
    *,
    spectra: int = SPECTRA,
    outliers: bool = True,
    root: str = "release",
    survey: str = "main",
    grid: WavelengthGrid = SMALL_GRID,
    model: str = "synthetic",
    first_target: int = FIRST_TARGET,
    repeats: dict[int, int] | None = None,
    failed: frozenset[int] = frozenset(),
    largest_tail: float = 1.0,
    unplaced: int = 0,
) -> SyntheticStore:
    """Write ``spectra`` rows, every fourth an explained outlier, every tenth other row unscored.

    ``repeats`` names rows that repeat the target of an earlier one; ``failed`` outliers' rows whose
    explanation came out as NaN; ``largest_tail`` is that of spectra that are no outliers. The first
    ``unplaced`` rows have no position.
    """
    generator = np.random.default_rng(11)
    configuration = RunConfiguration(
        models=(ModelReference(model, "0" * 32, (), (0.0, 0.65), 3),),
        grid=grid,
        reconstruction_scores=("mse_100",),
        threshold=THRESHOLD,
        attribution=OcclusionSettings(windows=WINDOWS),
        block_rows=BLOCK,
        outlier_block_rows=OUTLIER_BLOCK,
    )
    number = np.arange(spectra)
    outlier = (number % EVERY == 1) & outliers
    explained = synthetic(int(outlier.sum())) if outlier.any() else synthetic(4)
    rows = Rows.empty(spectra)
    data = rows.data
    data["specprod"], data["survey"], data["program"] = "iron", survey, "bright"
    data["target_id"] = first_target + number
    data["ra"], data["dec"] = generator.uniform(0, 360, spectra), generator.uniform(-30, 60, spectra)
    data["ra"][:unplaced] = np.nan
    data["healpix_29"] = healpix_29(data["ra"], data["dec"])
    data["redshift"] = generator.uniform(0.02, 0.3, spectra)
    data["spectype"] = np.where(number % 3 == 0, "QSO", "GALAXY")
    data["snr"] = generator.lognormal(1.0, 0.7, spectra)
    data["status"] = RowStatus.SCORED
    data["status"][number % 10 == 0] = RowStatus.SKY_FIBRE
    data["status"][number % 20 == 3] = RowStatus.NO_REDSHIFT
    data["status"][outlier] = RowStatus.SCORED
    data["redshift"][data["status"] == RowStatus.NO_REDSHIFT] = np.nan
    if outlier.any():
        data["redshift"][outlier] = explained.redshift
    prefix = "/".join(str(data[name][0]) for name in ("specprod", "survey", "program"))
    for again, first in (repeats or {}).items():
        data["target_id"][again] = data["target_id"][first]
        data["status"][again] = RowStatus.REPEATED_TARGET
    data["key"] = DESI.keys(prefix, data)
    scored = data["status"] == RowStatus.SCORED
    score = np.where(outlier, generator.uniform(30, 90, spectra), generator.normal(8, 3, spectra))
    score = np.where(scored, score, np.nan).astype(np.float32)
    tail = np.where(
        outlier, generator.uniform(1e-4, THRESHOLD, spectra), generator.uniform(0.02, largest_tail, spectra)
    )
    tail = np.where(scored, tail, np.nan).astype(np.float32)
    places = tuple(f"{root}/healpix/coadd-{index // 50}.fits" for index in number)

    store = Store.create(str(url), configuration)
    refused = RefusedFile(
        f"{root}/coadd-torn.fits", "truncated-file", f"The file ends early.\n  where: {root}"
    )
    files = tuple(
        SourceFile(
            places[start],
            "",
            "desi-coadd",
            min(50, spectra - start),
            f"{start:032x}",
            "iron",
            "main",
            "bright",
            f"iron/main/bright/{start // 50}",
        )
        for start in range(0, spectra, 50)
    )
    plan = ScorePlan(root, "desi-healpix", 0, BLOCK, files, (refused,))
    rows_of_outliers = tuple(int(row) for row in np.flatnonzero(outlier))
    explaining = AttributionPlan(0, OUTLIER_BLOCK, rows_of_outliers)
    store.ledger.save_plan(plan)
    store.ledger.save_plan(explaining)
    store.grow(plan.stop_block, explaining.stop_block)
    for block in plan.blocks:
        part = slice(block.first_row, block.first_row + block.spectra)
        written = store.write_scores(
            block,
            ScoredSpectra(
                rows=rows.take(part),
                source=places[part],
                model=np.where(scored[part], 0, NO_MODEL).astype(np.int8),
                latents=generator.normal(size=(block.spectra, 3)).astype(np.float32),
                score=score[part],
                tail_probability=tail[part],
                tail_uncertainty=np.full_like(tail[part], 0.3),
                reconstruction=np.ones((block.spectra, 1), np.float32),
                normalisation=np.ones(block.spectra, np.float32),
                outlier=outlier[part],
            ),
        )
        _commit(store, block, data["status"][part], np.flatnonzero(outlier[part]) + block.first_row, written)
    place_wavelength = grid.wavelength()[explained.combined.argmax(axis=1)]
    count = np.arange(len(place_wavelength))
    edge, sky = np.where(count % 3 == 0, Caution.EDGE, 0), np.where(count % 5 == 0, Caution.SKY_LINES, 0)
    cautions = (edge | sky).astype(np.uint16)
    lost = np.isin(np.flatnonzero(outlier), sorted(failed))
    place_wavelength[lost], cautions[lost] = np.nan, 0
    explained_score = np.where(lost, np.float32(np.nan), score[outlier])
    for number_of_block, block in enumerate(explaining.blocks):
        part = slice(number_of_block * OUTLIER_BLOCK, number_of_block * OUTLIER_BLOCK + block.spectra)
        chosen = list(block.rows)
        unexplained = Explanations.unexplained(
            SelectedSpectra(
                np.array(block.rows, np.int64),
                explained.redshift[part],
                explained.flux[part],
                explained.ivar[part],
                np.zeros(block.spectra, np.int8),
            ),
            grid,
            WINDOWS,
            Units(),
            np.array(rows.take(np.array(chosen)).keys(), dtype=object),
            data["target_id"][chosen],
        )
        written = store.write_explanations(
            block,
            replace(
                unexplained,
                baseline=explained.baseline[part],
                maps=np.repeat(explained.combined[part][:, None, :], len(WINDOWS), axis=1),
                spread=np.ones((block.spectra, len(WINDOWS), grid.size), np.float32),
                combined=explained.combined[part],
                explained_score=explained_score[part],
                baseline_score=np.zeros(block.spectra, np.float32),
                estimate=np.where(_REDSHIFT, count[part, None] / 1000, np.nan),
                estimate_error=np.where(_REDSHIFT, np.float32(0.00025), np.nan).repeat(block.spectra, 0),
                not_testable=np.full(block.spectra, "broad_lines arm_step", dtype=object),
                trials=np.full(block.spectra, 9000, np.int32),
                **place_arrays(place_wavelength[part], explained.redshift[part]),
                cautions=cautions[part],
            ),
        )
        status = np.ones(block.spectra, np.uint8)
        _commit(store, block, status, np.empty(0, np.int64), written, counted(cautions[part]))
    return SyntheticStore(str(url), rows, places, score, tail, outlier, explained, place_wavelength, cautions)


def add_set(url: str, attribution: MethodSettings, shift: float, most: int | None = None) -> None:
    """Give the store explanations by one more method: the same with places so many Angstrom redder.

    ``most`` is how many outliers it explains, the first ones; None for all.
    """
    store = Store.open(url)
    entry = ExplanationSetEntry.of(attribution.method, attribution, store.configuration)
    own, view = make_set(store, entry), StoreView.open(url)
    rows = np.sort(view.read("outliers/row"))[:most]
    snapshot = begin_set(own, Snapshot(), rows)
    middle = dict(
        zip(view.read("outliers/row").tolist(), view.read("outliers/place_wavelength"), strict=True)
    )
    for block in snapshot.unexplained_blocks:
        unexplained = own.unexplained(block.rows)
        places = np.array([middle[row][0] for row in block.rows]) + shift
        shape = (len(block.rows), unexplained.grid.size)
        combined = np.where(unexplained.ivar > 0, unexplained.flux, 0).astype(np.float32)
        explained = replace(
            unexplained,
            maps=np.repeat(combined[:, None], len(unexplained.scales), axis=1),
            spread=np.zeros((shape[0], len(unexplained.scales), shape[1]), np.float32),
            combined=combined,
            explained_score=np.full(shape[0], 50, np.float32),
            cause=np.full(shape[0], "unknown", dtype=object),
            **place_arrays(places, unexplained.redshift),
        )
        written = own.write_explanations(block, explained)
        _commit(own, block, np.ones(shape[0], np.uint8), np.empty(0, np.int64), written)


def _commit(
    store: Store | ExplanationSet,
    block: ScoreBlock | AttributionBlock,
    status: NDArray[np.uint8],
    outliers: NDArray[np.int64],
    written: tuple[object, ...],
    cautions: tuple[tuple[str, int], ...] = (),
) -> None:
    codes, counts = np.unique(status, return_counts=True)
    store.ledger.commit(
        BlockResult(
            kind=block.kind,
            index=block.index,
            plan=block.plan,
            spectra=block.spectra,
            status_counts=tuple(
                sorted((RowStatus(code).label, int(count)) for code, count in zip(codes, counts, strict=True))
            ),
            outliers=tuple(int(row) for row in outliers),
            unreadable=(),
            objects=written,  # type: ignore[arg-type]
            caution_counts=cautions,
        )
    )
