"""Each fault is injected in a good store, and verify must name exactly that one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from engine.store.checksummed import checksummed, read_checksummed
from engine.store.run_lock import run_lock
from engine.store.store import Store
from engine.store.verify import verify
from models.errors import StoreError
from tests.engine.store.store_builders import (
    RELEASE,
    begin_plan,
    configuration,
    mark_gone,
    mark_superseded,
    plan_of,
    run,
    scored_block,
    tree_of,
    write_block,
)


@pytest.fixture
def store(finished):
    return finished


def faults(store):
    report = verify(store.url)
    assert not report.ok
    assert all(fault.what and fault.remedy for fault in report.faults)
    return [(fault.kind, fault.where) for fault in report.faults]


def amended(store, path, **changes):
    body = json.loads(read_checksummed(store.objects.get(path), path, ""))
    store.objects.put(path, checksummed({**body, **changes}))


def test_a_good_store_has_no_faults_and_every_object_is_read(store):
    seen = []
    report = verify(store.url, lambda done, total: seen.append((done, total)))
    assert report.ok
    assert report.faults == ()
    assert report.score_blocks == 3
    assert report.attribution_blocks == len(store.ledger.results("attribution"))
    data = [path for path in store.objects.sizes() if path.split("/")[0] in ("spectra", "scores", "outliers")]
    coordinates = {"wavelength", "window", "quantity", "latent", "reconstruction_score"}
    written = [path for path in data if "/c/" in path and path.split("/")[1] not in coordinates]
    assert report.objects == len(written) == seen[-1][0] == seen[-1][1]
    assert report.bytes == sum(len(store.objects.get(path)) for path in written)
    assert json.loads(json.dumps(report.to_dict()))["ok"] is True


def test_verifying_changes_nothing(store, tmp_path):
    before = tree_of(tmp_path)
    verify(store.url)
    assert tree_of(tmp_path) == before


def test_a_missing_object(store):
    store.objects.delete(["spectra/redshift/c/1"])
    assert faults(store) == [("missing-object", "spectra/redshift/c/1")]


def test_a_truncated_object(store):
    path = "outliers/maps/c/0/0/0"
    store.objects.put(path, store.objects.get(path)[:-1])
    assert faults(store) == [("wrong-size", path)]


def test_a_flipped_bit(store):
    path = "scores/score/c/2"
    data = bytearray(store.objects.get(path))
    data[5] ^= 1
    store.objects.put(path, bytes(data))
    assert faults(store) == [("wrong-digest", path)]


@pytest.mark.parametrize("path", ["ledger/score/00000001.json", "ledger/attribution/00000000.json"])
def test_a_damaged_ledger_entry(store, path):
    store.objects.put(path, store.objects.get(path)[:-9])
    found = faults(store)
    assert ("ledger-damaged", path) in found
    kinds = {kind for kind, where in found if where != path}
    # Its block's data are then without an entry, and explained rows without a score block.
    assert kinds <= {"uncommitted-objects", "not-an-outlier", "staging-missing"}


def test_a_ledger_entry_without_data(store):
    paths = [each.path for each in store.ledger.results("score")[2].objects]
    store.objects.delete(paths)
    assert faults(store) == [("data-missing", "ledger/score/00000002.json")]


def test_data_without_a_ledger_entry(store):
    block = store.ledger.plans()[0].blocks[2]
    store.grow(4, 0)
    store.write_scores(replace(block, index=3), scored_block(block, store.configuration))
    report = verify(store.url)
    (fault,) = report.faults
    assert fault.kind == "uncommitted-objects"
    assert fault.what == "47 objects of score block 3, which is not in the ledger"


def test_status_counts_that_are_not_those_of_the_array(store):
    path = "ledger/score/00000000.json"
    amended(store, path, status_counts=[["scored", 8]])
    assert faults(store) == [("count-mismatch", path)]


def test_spectra_that_are_not_those_of_the_plan(store):
    path = "ledger/score/00000002.json"
    amended(store, path, spectra=5)
    assert set(faults(store)) == {("count-mismatch", path)}


def test_outliers_that_are_not_those_of_the_array(store):
    result = store.ledger.results("score")[1]
    path = "ledger/score/00000001.json"
    amended(store, path, outliers=list(result.outliers[1:]))
    found = faults(store)
    assert ("outlier-mismatch", path) in found
    assert {kind for kind, _ in found} == {"outlier-mismatch", "not-an-outlier"}


def test_explanations_fewer_than_recorded(store):
    path = "ledger/attribution/00000000.json"
    amended(store, path, spectra=3)
    assert set(faults(store)) == {("count-mismatch", path)}


def test_cautions_that_are_not_those_of_the_array(store):
    path = "ledger/attribution/00000000.json"
    amended(store, path, caution_counts=[["edge", 4]])
    assert faults(store) == [("count-mismatch", path)]


def test_a_damaged_object_of_cautions(store):
    path = "outliers/cautions/c/0"
    store.objects.put(path, store.objects.get(path)[:-1] + b"x")
    assert faults(store) == [("wrong-digest", path)]


def test_a_block_of_no_plan(store):
    store.ledger.withdraw_plan(store.ledger.plans()[0])
    assert set(faults(store)) == {("plan-missing", f"ledger/score/{index:08d}.json") for index in range(3)}


def test_an_entry_that_leaves_an_array_out(store):
    path = "ledger/score/00000000.json"
    body = json.loads(read_checksummed(store.objects.get(path), path, ""))
    kept = [each for each in body["objects"] if not each["path"].startswith("spectra/ra/")]
    amended(store, path, objects=kept)
    assert ("entry-incomplete", path) in faults(store)


def test_the_same_spectrum_twice(tmp_path):
    store = Store.create(str(tmp_path / "store.zarr"), configuration())
    plan = plan_of(store, RELEASE)
    begin_plan(store, plan)
    for block in plan.blocks:
        if block.index == 1:
            scored = scored_block(block, store.configuration)
            earlier = scored_block(plan.blocks[0], store.configuration).rows
            for name in ("target_id", "key"):
                scored.rows.data[name][:2] = earlier[name][3:5]
            result = write_block(store, block)
            written = {each.path: each for each in result.objects}
            written |= {each.path: each for each in store.write_scores(block, scored)}
            store.ledger.commit(replace(result, objects=tuple(written[path] for path in sorted(written))))
        else:
            store.ledger.commit(write_block(store, block))
    (fault,) = verify(store.url).faults
    assert fault.kind == "duplicate-key"
    assert "2 spectra are stored more than once" in fault.what
    assert "(rows 3 and 8)" in fault.what
    mark_superseded(store, [3, 4])
    assert verify(store.url).ok


def test_a_lost_plan_of_arrays_or_coordinates(store):
    store.objects.delete(["scores/latent/c/0"])
    store.objects.put("outliers/wavelength/c/0", store.objects.get("outliers/wavelength/c/0")[::-1])
    store.objects.put("spectra/status/zarr.json", b"{")
    assert sorted(faults(store)) == [
        ("array-damaged", "spectra/status/zarr.json"),
        ("missing-object", "scores/latent/c/0"),
        ("wrong-coordinate", "outliers/wavelength/c/0"),
    ]


def test_an_array_too_short_for_its_blocks(store):
    path = "scores/score/zarr.json"
    document = json.loads(store.objects.get(path))
    document["shape"][0] = 16
    store.objects.put(path, json.dumps(document).encode())
    assert faults(store) == [("array-too-short", path)]
    store.grow(3, 0)
    assert verify(store.url).ok


def test_staging_that_is_still_needed(tmp_path):
    store = Store.create(str(tmp_path / "store.zarr"), configuration())
    run(store, RELEASE, explain=False)
    assert verify(store.url).ok
    path = "staging/00000001.safetensors"
    data = store.objects.get(path)
    store.objects.put(path, data[:-4])
    assert faults(store) == [("wrong-size", path)]
    store.objects.delete([path])
    assert faults(store) == [("staging-missing", path)]


def test_superseded_flags_that_were_not_written(store):
    before = store.objects.get("spectra/superseded/c/1")
    mark_superseded(store, [9])
    store.objects.put("spectra/superseded/c/1", before)
    assert [kind for kind, _ in faults(store)] in (["wrong-digest"], ["wrong-size"])
    mark_superseded(store, [9])
    assert verify(store.url).ok


def test_objects_of_others_and_leftovers_of_killed_writers(store):
    store.objects.put("spectra/ra/notes.txt", b"x")
    store.objects.put("spectra/ra/c/.1.0123456789abcdef.partial", b"x")
    store.objects.put("README", b"mine")
    report = verify(store.url)
    assert [(fault.kind, fault.where) for fault in report.faults] == [
        ("unexpected-object", "spectra/ra/notes.txt")
    ]
    assert report.leftovers == ("spectra/ra/c/.1.0123456789abcdef.partial",)
    store.clear_staging()
    assert verify(store.url).leftovers == ()


def test_the_remedy_for_a_damaged_block_works(store, tmp_path):
    good = tree_of(tmp_path)
    store.objects.put("scores/latents/c/1/0", b"rubbish")
    assert faults(store) == [("wrong-size", "scores/latents/c/1/0")]
    store.objects.delete(["ledger/score/00000001.json"])
    plan = run(Store.open(store.url), RELEASE)
    assert [block.index for block in plan.blocks] == [1]
    assert verify(store.url).ok
    assert tree_of(tmp_path) == good


def test_blocks_of_a_run_under_way_are_no_faults_and_its_holder_is_named(planned):
    store, plan = planned
    store.ledger.commit(write_block(store, plan.blocks[0]))
    write_block(store, plan.blocks[1])
    store.grow(6, 0)
    store.objects.put("scores/score/c/5", b"of no plan")
    with run_lock(store.url, "run") as lock:
        report = verify(store.url)
    assert report.run == str(lock.holder)
    assert report.unfinished == 2
    assert [fault.where for fault in report.faults] == ["scores/score/c/5"]
    after = verify(store.url)
    assert (after.run, after.unfinished) == ("", 0)
    assert [fault.kind for fault in after.faults] == ["uncommitted-objects"] * 2


def test_a_damaged_lock(store):
    path = "ledger/lock/00000003.json"
    store.objects.put(path, b'{"holder": ')
    assert faults(store) == [("lock-damaged", path)]
    assert verify(store.url).run == ""


@pytest.mark.parametrize("flag", ["superseded", "gone"])
def test_a_damaged_record_of_flags(store, flag):
    mark_superseded(store, [9])
    mark_gone(store, [10])
    path = f"ledger/{flag}/00000001.json"
    store.objects.put(path, store.objects.get(path)[:-3])
    found = faults(store)
    assert ("ledger-damaged", path) in found
    assert ("wrong-size", f"spectra/{flag}/c/1") in found or ("wrong-digest", f"spectra/{flag}/c/1") in found


def test_documents_that_would_be_read_otherwise(store):
    path = "outliers/maps/zarr.json"
    document = json.loads(store.objects.get(path))
    document["dimension_names"] = ["outlier", "wavelength", "window"]
    store.objects.put(path, json.dumps(document).encode())
    store.objects.put("clusters/zarr.json", b"[]")
    assert sorted(faults(store)) == [("array-damaged", path), ("document-damaged", "clusters/zarr.json")]


def test_a_damaged_root_is_an_error(store):
    body = json.loads(store.objects.get("zarr.json"))
    del body["attributes"]["configuration"]["threshold"]
    store.objects.put("zarr.json", json.dumps(body).encode())
    with pytest.raises(StoreError, match="root attributes do not describe") as error:
        verify(store.url)
    assert "copy of the store" in error.value.remedy
