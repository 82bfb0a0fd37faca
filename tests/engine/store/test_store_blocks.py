"""Blocks of a store: what a writer puts, readers see."""

from __future__ import annotations

import pickle
from dataclasses import replace

import fsspec
import numpy as np
import pytest
import zarr

from engine.attribution.explanation import Explanations
from engine.attribution.method import Units
from engine.store.blocks import AttributionBlock, ScoreBlock
from engine.store.reading import StoreView
from engine.store.schema import ARRAYS, arrays_of
from engine.store.store import Store
from engine.store.verify import verify
from models.digests import digest_of
from models.errors import BugError, StoreError
from tests.engine.store.store_builders import (
    GRID,
    RELEASE,
    WINDOWS,
    attribution_blocks,
    configuration,
    explained,
    mark_superseded,
    plan_of,
    run,
    scored_block,
    selected_of,
    tree_of,
    write_block,
)


def test_one_block_is_one_object_of_every_array(planned):
    store, plan = planned
    before = set(store.objects.sizes())
    result = write_block(store, plan.blocks[1])
    new = set(store.objects.sizes()) - before
    assert new == {each.path for each in result.objects}
    data = {path for path in new if not path.startswith("staging/")}
    assert data == {spec.object_path(1) for spec in arrays_of("score")}
    for each in result.objects:
        content = store.objects.get(each.path)
        assert (each.bytes, each.digest) == (len(content), digest_of(content))
    store.ledger.commit(result)
    block, *_ = attribution_blocks(store)
    written = store.write_explanations(block, explained(store.unexplained(block.rows)))
    assert [each.path for each in written] == sorted(spec.object_path(0) for spec in arrays_of("attribution"))


def test_writing_a_block_again_gives_the_same_bytes(planned, tmp_path):
    store, plan = planned
    run(store, RELEASE)
    before = tree_of(tmp_path)
    for block in plan.blocks:
        store.write_scores(block, scored_block(block, store.configuration))
    assert tree_of(tmp_path) == before


def test_two_stores_of_the_same_run_are_byte_for_byte_equal(tmp_path):
    for name in ("one", "two"):
        run(Store.create(str(tmp_path / name), configuration()), RELEASE)
    one, two = tree_of(tmp_path / "one"), tree_of(tmp_path / "two")
    assert one == two
    assert len(one) > 3 * len(arrays_of("score"))


def test_a_shard_has_an_object_even_when_all_of_it_is_the_fill_value(planned):
    store, plan = planned
    nothing = scored_block(plan.blocks[0], store.configuration)
    nothing.score[:] = np.nan
    nothing.outlier[:] = False
    nothing.rows.data["mjd"] = -1
    written = {each.path for each in store.write_scores(plan.blocks[0], nothing)}
    assert written == {spec.object_path(0) for spec in arrays_of("score")}
    assert written <= set(store.objects.sizes())


def test_values_come_back_exactly_and_maps_within_their_rounding(planned):
    store, _ = planned
    run(store, RELEASE)
    view = StoreView.open(store.url)
    expected = [scored_block(block, store.configuration) for block in store.ledger.plans()[0].blocks]
    tails = ("tail_probability", "tail_uncertainty")
    for name in ("latents", "score", *tails, "reconstruction", "normalisation", "outlier"):
        whole = np.concatenate([getattr(scored, name) for scored in expected])
        np.testing.assert_array_equal(view.read(f"scores/{name}"), whole)
    for name in ("target_id", "redshift", "ra", "spectype", "status"):
        whole = np.concatenate([scored.rows[name] for scored in expected])
        np.testing.assert_array_equal(view.read(f"spectra/{name}").astype(whole.dtype), whole)
    blocks = store.ledger.plans()[0].blocks
    selected = [selected_of(block, scored) for block, scored in zip(blocks, expected, strict=True)]
    flux = np.concatenate([part.flux for part in selected])
    np.testing.assert_array_equal(view.read("outliers/flux"), flux)
    maps = np.concatenate(
        [explained(Explanations.unexplained(part, GRID, WINDOWS, Units())).maps for part in selected]
    )
    np.testing.assert_allclose(view.read("outliers/maps"), maps, rtol=2**-11, atol=0)
    assert (view.read("outliers/maps") != maps).any()


@pytest.mark.parametrize("change", [{"capacity": 4}, {"slices": ()}])
def test_anything_but_a_whole_block_is_refused(planned, change):
    store, plan = planned
    block = replace(plan.blocks[0], **change)
    scored = scored_block(plan.blocks[0], store.configuration)
    with pytest.raises(BugError, match="Only whole blocks are written"):
        store.write_scores(block, scored)


def test_arrays_of_a_wrong_shape_are_refused(planned):
    store, plan = planned
    scored = scored_block(plan.blocks[0], store.configuration)
    with pytest.raises(BugError, match=r"scores/latents[\s\S]*\(8, 2\)"):
        store.write_scores(plan.blocks[0], replace(scored, latents=scored.latents[:, :2]))
    assert not any("/c/" in path and path.startswith("scores/latents/") for path in store.objects.sizes())


def test_explanations_of_other_rows_are_refused(planned):
    store, plan = planned
    store.ledger.commit(write_block(store, plan.blocks[0]))
    block, *_ = attribution_blocks(store)
    other = AttributionBlock(block.index, block.capacity, block.plan, tuple(row + 1 for row in block.rows))
    with pytest.raises(BugError, match="not those of the block's rows"):
        store.write_explanations(other, explained(store.unexplained(block.rows)))


def test_a_block_without_room_is_refused_until_the_coordinator_grows_the_store(planned):
    store, plan = planned
    writer = Store.open(store.url)
    far = ScoreBlock(7, 8, "plan", plan.blocks[0].slices)
    scored = scored_block(far, store.configuration)
    with pytest.raises(BugError, match=r"no room[\s\S]*index 7[\s\S]*0 to 2"):
        writer.write_scores(far, scored)
    store.grow(8, 0)
    assert len(writer.write_scores(far, scored)) == len(arrays_of("score"))


def test_growing_never_shrinks_and_drops_stale_consolidated_metadata(planned):
    store, _ = planned
    run(store, RELEASE)
    with pytest.warns(UserWarning, match="Consolidated metadata"):
        zarr.consolidate_metadata(store.url)
    store.grow(1, 1)
    assert zarr.open_group(store.url, mode="r")["spectra/status"].shape == (24,)
    store.grow(5, 9)
    root = zarr.open_group(store.url, mode="r")
    for spec in ARRAYS:
        assert root[spec.path].shape[0] == {"score": 40, "attribution": 36}[spec.kind]
    assert verify(store.url).ok


def test_staged_spectra_come_back_in_any_order_and_are_cleared_at_the_end(planned):
    store, plan = planned
    results = [write_block(store, block) for block in plan.blocks]
    rows = tuple(row for result in results for row in result.outliers)[::-1]
    whole = [selected_of(block, scored_block(block, store.configuration)) for block in plan.blocks]
    staged = store.staged(rows)
    assert tuple(staged.row.tolist()) == rows
    np.testing.assert_array_equal(staged.flux, np.concatenate([part.flux for part in whole])[::-1])
    np.testing.assert_array_equal(staged.ivar, np.concatenate([part.ivar for part in whole])[::-1])
    np.testing.assert_array_equal(staged.redshift, np.concatenate([part.redshift for part in whole])[::-1])
    inlier = next(row for row in range(22) if row not in rows)
    with pytest.raises(StoreError, match=f"no row {inlier}"):
        store.staged((inlier,))
    store.clear_staging()
    assert [path for path in store.objects.sizes("staging") if path.endswith(".safetensors")] == []
    with pytest.raises(StoreError, match=r"not in the staging area[\s\S]*no such object"):
        store.staged(rows)


def test_a_damaged_staging_object_is_told_apart_from_spectra(planned):
    store, plan = planned
    result = write_block(store, plan.blocks[0])
    path = next(each.path for each in result.objects if each.path.startswith("staging/"))
    store.objects.put(path, store.objects.get(path)[:-7])
    with pytest.raises(StoreError, match="A staging object is damaged"):
        store.staged(result.outliers)


def test_a_block_without_outliers_stages_nothing(planned):
    store, plan = planned
    none = selected_of(plan.blocks[0], scored_block(plan.blocks[0], store.configuration))
    empty = replace(
        none, row=none.row[:0], redshift=none.redshift[:0], flux=none.flux[:0], ivar=none.ivar[:0]
    )
    assert store.stage(plan.blocks[0], empty) == ()
    assert len(store.staged(())) == 0


def test_a_store_travels_to_other_processes(planned):
    store, plan = planned
    copy = pickle.loads(pickle.dumps(store))  # noqa: S301
    assert copy.write_scores(plan.blocks[0], scored_block(plan.blocks[0], store.configuration))
    assert copy.configuration == store.configuration


def test_a_store_in_memory_is_the_same_as_one_on_disk(tmp_path):
    url = "memory://whyspec-test/store.zarr"
    memory = Store.create(url, configuration())
    disk = Store.create(f"file://{tmp_path}/store.zarr", configuration())
    try:
        for store in (memory, disk):
            run(store, RELEASE)
            assert plan_of(Store.open(store.url), RELEASE).blocks == ()
            assert verify(store.url).ok
        assert {path: memory.objects.get(path) for path in memory.objects.sizes()} == tree_of(
            tmp_path / "store.zarr"
        )
        views = [StoreView.open(store.url) for store in (memory, disk)]
        assert views[0].table().equals(views[1].table())
        np.testing.assert_array_equal(views[0].outlier(0).maps, views[1].outlier(0).maps)
        keys = zarr.open_group(url, mode="r")["spectra/key"][:]
        assert keys[0].startswith("iron/main/dark/")
    finally:
        fsspec.filesystem("memory").rm("/whyspec-test", recursive=True)


def test_superseded_rows_are_flagged_in_ledger_and_array(planned):
    store, _ = planned
    run(store, RELEASE)
    mark_superseded(store, [3, 9])
    mark_superseded(store, [9, 4])
    view = StoreView.open(store.url)
    assert view.table(["superseded"]).query("superseded").index.tolist() == [3, 4, 9]
    assert np.flatnonzero(view.read("spectra/superseded")).tolist() == [3, 4, 9]
    assert verify(store.url).ok
    block = store.ledger.plans()[0].blocks[0]
    store.write_scores(block, scored_block(block, store.configuration))
    assert verify(store.url).ok
    with pytest.raises(BugError, match=r"committed blocks[\s\S]*\[11\]"):
        mark_superseded(store, [95])
