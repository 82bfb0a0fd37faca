"""The worker: every row accounted for, the same bytes every time, errors only where nothing else helps."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from engine.attribution.explainer import Explainer
from engine.attribution.explanation import MAP_BITS
from engine.attribution.occlusion.dense import DenseOccluder
from engine.run.executor import WorkerRecipe
from engine.run.plan import begin
from engine.run.serial import SerialExecutor
from engine.run.worker import BlockWorker
from engine.run.worker_memory import worker_bytes
from engine.spectra.normalisation import normalise
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.reading import StoreView
from engine.store.store import Store
from engine.surveys.reading import read_spectra
from flows.run.preparation import prepare
from infra.settings import Settings
from models.errors import BugError, ConfigurationError
from models.local.local_score import LocalScore
from models.model_files import read_model
from models.row_status import RowStatus
from models.weights import load_model, save_model
from tests.engine.store.store_builders import attribution_blocks
from tests.small_run import BLOCK_ROWS, OUTLIER_BLOCK_ROWS, SPECTRA, THRESHOLD, small_request


def begun(release: Path, store: Path, model: Path) -> tuple[Store, tuple[ScoreBlock, ...]]:
    """An empty store and the score blocks to fill it with."""
    prepared = prepare(small_request(release, store, model), Settings())
    made = Store.create(str(store), prepared.configuration)
    begin(made, prepared.plan, prepared.snapshot)
    return made, prepared.plan.blocks


def committed(store: Store, worker: BlockWorker, blocks: tuple[ScoreBlock, ...]) -> list[BlockResult]:
    results = [worker.run(block) for block in blocks]
    for result in results:
        store.ledger.commit(result)
    return results


def worker_of(store: Store, model: Path) -> BlockWorker:
    return WorkerRecipe((str(model),), store.url).make()


def test_scores_are_the_models(release: Path, model: Path, tmp_path: Path) -> None:
    store, blocks = begun(release, tmp_path / "s.zarr", model)
    committed(store, worker_of(store, model), blocks)
    table = StoreView.open(store.url).table()
    assert len(table) == SPECTRA
    loaded = load_model(str(model)).double()
    compared = 0
    for block in blocks:
        row = block.first_row
        for part in block.slices:
            spectra = normalise(read_spectra(part.file, part.start, part.stop), loaded.card, ("GALAXY",))
            for offset in np.flatnonzero(spectra.scorable):
                flux = torch.tensor(spectra.flux[offset], dtype=torch.float64)[None]
                ivar = torch.tensor(spectra.ivar[offset], dtype=torch.float64)[None]
                redshift = torch.tensor([spectra.rows["redshift"][offset]])
                expected = float(loaded.outputs(flux, ivar, redshift).score)
                assert table.at[row + offset, "score"] == pytest.approx(expected, rel=1e-4, abs=3e-3)
                assert table.at[row + offset, "status"] == RowStatus.SCORED
                compared += 1
            row += part.spectra
    assert compared > SPECTRA // 2


def test_every_row_has_its_status_and_the_receipt_counts_them(
    release: Path, model: Path, tmp_path: Path
) -> None:
    store, blocks = begun(release, tmp_path / "s.zarr", model)
    results = committed(store, worker_of(store, model), blocks)
    table = StoreView.open(store.url).table()
    counted = Counter(RowStatus(code).label for code in table["status"])
    assert sum((Counter(dict(result.status_counts)) for result in results), Counter()) == counted
    assert counted["padding"] == 0
    assert counted["sky_fibre"] > 0
    scored = table["status"] == RowStatus.SCORED
    for column in ("score", "tail_probability", "normalisation", "published_mse_all_100"):
        assert table[column].notna().equals(scored), column
    odd = table.index[table["outlier"]].tolist()
    assert odd == [row for result in results for row in result.outliers]
    assert (table.loc[odd, "tail_probability"] <= THRESHOLD).all()
    assert (table.loc[scored & ~table["outlier"], "tail_probability"] > THRESHOLD).all()


def test_a_block_gives_the_same_bytes_again(release: Path, model: Path, tmp_path: Path) -> None:
    store, blocks = begun(release, tmp_path / "s.zarr", model)
    first = committed(store, worker_of(store, model), blocks)
    again = [worker_of(store, model).run(block) for block in reversed(blocks)]
    assert again == first[::-1]


def test_seams_and_whole_forward_passes_fill_a_store_alike(
    release: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a thousandth of each map's own spread, and to the rounding of mantissas in the store."""

    def dense(score: LocalScore, memory_bytes: int, _floats_per_pixel: int) -> DenseOccluder:
        return DenseOccluder(lambda spectra: score(spectra.double()), memory_bytes, 100)

    filled = {}
    for name in ("seams", "dense"):
        store, blocks = begun(release, tmp_path / name, model)
        committed(store, worker_of(store, model), blocks)
        if name == "dense":
            monkeypatch.setattr("engine.attribution.occlusion.inverse_occlusion.occluder_of", dense)
        explained = attribution_blocks(store)
        committed(store, worker_of(store, model), explained)
        filled[name] = zarr.open_group(store.url, mode="r")["outliers"]
    by_seams, by_passes = filled["seams"], filled["dense"]
    rows = sum(len(block.rows) for block in explained)
    rounding = 2.0**-MAP_BITS
    for name in ("maps", "spread", "combined"):
        found, wanted = by_seams[name][:rows], by_passes[name][:rows]
        assert (wanted.std(axis=-1) > 0).all()
        allowed = 1e-3 * wanted.std(axis=-1, keepdims=True) + rounding * np.abs(wanted)
        assert (np.abs(found - wanted) <= allowed).all(), name
    for name in ("row", "place_wavelength", "place_width", "place_sign", "place_line"):
        np.testing.assert_array_equal(by_seams[name][:rows], by_passes[name][:rows])


def test_a_file_that_breaks_after_listing_keeps_its_rows(release: Path, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "release"
    shutil.copytree(release, copy)
    store, blocks = begun(copy, tmp_path / "s.zarr", model)
    whole_store, whole_blocks = begun(release, tmp_path / "whole.zarr", model)
    broken = blocks[1].slices[-1].file
    with Path(broken.url).open("r+b") as file:
        file.truncate(Path(broken.url).stat().st_size // 3)

    results = committed(store, worker_of(store, model), blocks)
    committed(whole_store, worker_of(whole_store, model), whole_blocks)

    table, whole = StoreView.open(store.url).table(), StoreView.open(whole_store.url).table()
    lost = table["source"] == broken.url
    assert lost.sum() == broken.spectra
    assert (table.loc[lost, "status"] == RowStatus.FILE_UNREADABLE).all()
    assert table.loc[lost, "source_row"].tolist() == list(range(broken.spectra))
    assert table.loc[lost, "score"].isna().all()
    assert not table.loc[lost, "outlier"].any()
    kept = ["target_id", "status", "score", "tail_probability", "outlier", "redshift"]
    np.testing.assert_allclose(table.loc[~lost, "score"], whole.loc[~lost, "score"], rtol=1e-5)
    assert table.loc[~lost, kept].drop(columns="score").equals(whole.loc[~lost, kept].drop(columns="score"))
    named = [file for result in results for file in result.unreadable]
    assert {file.url for file in named} == {broken.url}
    assert all(file.kind and file.reason for file in named)


def test_a_model_that_gives_no_number_flags_its_rows(release: Path, model: Path, tmp_path: Path) -> None:
    broken = load_model(str(model))
    with torch.no_grad():
        broken.encoder.head[-1].bias.fill_(3e38)
    directory = tmp_path / "broken-model"
    save_model(broken, directory)
    store, blocks = begun(release, tmp_path / "s.zarr", directory)
    results = committed(store, worker_of(store, directory), blocks)
    table = StoreView.open(store.url).table()
    assert not (table["status"] == RowStatus.SCORED).any()
    assert (table["status"] == RowStatus.NON_FINITE_SCORE).sum() > SPECTRA // 2
    assert table["score"].isna().all()
    assert table["normalisation"].isna().all()
    assert not any(result.outliers for result in results)


def test_explanations_are_those_of_the_spectra_as_scored(release: Path, model: Path, tmp_path: Path) -> None:
    store, blocks = begun(release, tmp_path / "s.zarr", model)
    worker = worker_of(store, model)
    outliers = [row for result in committed(store, worker, blocks) for row in result.outliers]
    to_explain = attribution_blocks(store)
    assert len(to_explain) == -(-len(outliers) // OUTLIER_BLOCK_ROWS)
    for block in to_explain:
        result = worker.run(block)
        assert result.spectra == len(block.rows)
        assert result.status_counts == (("scored", len(block.rows)),)
        store.ledger.commit(result)
    view = StoreView.open(store.url)
    assert view.read("outliers/row").tolist() == outliers
    selected = store.staged(tuple(outliers[:2]))
    direct = Explainer(load_model(str(model)), store.configuration.attribution).explain(selected)
    for number in range(2):
        stored = view.outlier(number)
        assert stored.places == direct.one(number).places
        # Maps are stored with rounded mantissas.
        np.testing.assert_allclose(stored.combined, direct.combined[number], rtol=1e-2)
        np.testing.assert_array_equal(stored.flux, selected.flux[number])


def test_a_spectrum_without_finite_density_is_stored_unexplained(
    release: Path, model: Path, tmp_path: Path
) -> None:
    store, blocks = begun(release, tmp_path / "s.zarr", model)
    committed(store, worker_of(store, model), blocks)
    block = attribution_blocks(store)[0]
    broken = load_model(str(model))
    with torch.no_grad():
        broken.encoder.head[-1].bias.fill_(float("nan"))
    result = BlockWorker([broken], store, store.configuration).run(block)
    assert result.status_counts == (("non_finite_score", len(block.rows)),)
    store.ledger.commit(result)
    stored = StoreView.open(store.url).outlier(0)
    assert np.isnan(stored.combined).all()
    assert stored.places == ()


def test_another_model_is_refused(release: Path, model: Path, tmp_path: Path) -> None:
    store, _ = begun(release, tmp_path / "s.zarr", model)
    reference = replace(store.configuration.models[0], digest="0" * 32)
    other = replace(store.configuration, models=(reference,))
    with pytest.raises(ConfigurationError, match="not the model that the run was planned with"):
        BlockWorker([load_model(str(model))], store, other)


def test_an_executor_works_only_inside_its_context(release: Path, model: Path, tmp_path: Path) -> None:
    store, blocks = begun(release, tmp_path / "s.zarr", model)
    store.grow(len(blocks), 1)
    executor = SerialExecutor(WorkerRecipe((str(model),), store.url))
    with pytest.raises(BugError, match="outside its context"):
        executor.run(blocks[0])
    with executor:
        assert executor.run(blocks[0]).spectra == BLOCK_ROWS
        missing = AttributionBlock(0, OUTLIER_BLOCK_ROWS, "plan", (SPECTRA - 1,))
        with pytest.raises(Exception, match="staging"):
            executor.run(missing)


def test_memory_grows_with_what_a_worker_holds(release: Path, model: Path, tmp_path: Path) -> None:
    store, _ = begun(release, tmp_path / "s.zarr", model)
    small, models = store.configuration, [read_model(str(model))]
    needed = worker_bytes(small, models)
    assert worker_bytes(replace(small, outlier_block_rows=100_000), models) > 10 * needed
    assert worker_bytes(replace(small, block_rows=10_000_000), models) > 10 * needed
    assert worker_bytes(small, models * 2) > needed
