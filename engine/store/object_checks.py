"""Checks of a store's objects: are all there, and only those, with the bytes that were written?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from engine.blocks import WrittenObject
from engine.store.evidence import AGAIN, Evidence, Fault, some
from engine.store.hierarchy import new_documents
from engine.store.ledger import result_path
from engine.store.objects import PARTIAL, digest_of
from engine.store.schema import ARRAYS, BY_PATH, FLAGS, arrays_of
from engine.store.staging import staging_path

_READERS = 8
_RUN = "Wait for the run to end, or run again if it was killed: the block is then written anew."


def document_faults(evidence: Evidence) -> Iterator[Fault]:
    """Documents of groups and arrays, and coordinates."""
    remedy = "Restore it from a copy of the store, or from an empty store made with the same settings."
    fresh = new_documents(evidence.configuration, {})
    for path in sorted(set(fresh) - set(evidence.sizes)):
        yield Fault("missing-object", path, "there is no such object", remedy)
    for path, data in fresh.items():
        if "/c/" in path and path in evidence.sizes and evidence.objects.get(path) != data:
            yield Fault("wrong-coordinate", path, "not the coordinate of the store's configuration", remedy)
    blocks = {"score": max(evidence.scored, default=-1), "attribution": max(evidence.explained, default=-1)}
    for spec in ARRAYS:
        path = f"{spec.path}/zarr.json"
        if path not in evidence.sizes:
            continue
        try:
            length = json.loads(evidence.objects.get(path))["shape"][0]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            yield Fault("array-damaged", path, f"not an array's document ({error})", remedy)
            continue
        needed = (blocks[spec.kind] + 1) * spec.shard_shape(evidence.configuration)[0]
        if length < needed:
            what = f"{length} rows, but blocks up to row {needed - 1} are finished"
            yield Fault("array-too-short", path, what, "Run again: the coordinator gives it room.")


def entry_faults(evidence: Evidence) -> Iterator[Fault]:
    """Entries of blocks against the saved plans and the schema."""
    spectra: dict[tuple[str, str, int], int] = {}
    for plan in evidence.audit.plans:
        for block in plan.blocks:
            spectra[block.kind, block.plan, block.index] = block.spectra
    for result in evidence.audit.results:
        path = result_path(result.kind, result.index)
        planned = spectra.get((result.kind, result.plan, result.index))
        if planned is None:
            remedy = "Restore ledger/plans from a copy of the store."
            yield Fault("plan-missing", path, f"no saved plan has this block (plan {result.plan})", remedy)
        elif planned != result.spectra:
            what = f"{result.spectra} spectra, planned were {planned}"
            yield Fault("count-mismatch", path, what, AGAIN)
        schema = {spec.object_path(result.index) for spec in arrays_of(result.kind)}
        recorded = {each.path for each in result.objects} - {staging_path(result.index)}
        if schema != recorded:
            what = f"records {some(recorded ^ schema)} unlike the schema"
            yield Fault("entry-incomplete", path, what, AGAIN)


def expected_objects(evidence: Evidence) -> dict[str, WrittenObject]:
    """Every object that has a recorded digest, by path; staging is another matter."""
    expected: dict[str, WrittenObject] = {}
    for result in evidence.audit.results:
        if evidence.has_no_data(result):
            continue  # told once for the whole block, with its content
        for each in result.objects:
            if not each.path.startswith("staging/"):
                expected[each.path] = each
    for entry in evidence.flagged.values():
        if entry.block in evidence.scored:
            expected[entry.flags.path] = entry.flags
    for clustering in evidence.audit.clusterings:
        expected |= {each.path: each for each in clustering.objects}
    return expected


def digest_faults(
    evidence: Evidence, expected: dict[str, WrittenObject], progress: Callable[[int, int], None] | None
) -> Iterator[Fault]:
    """Objects that are missing or not as recorded, all read in full."""

    def compared(recorded: WrittenObject) -> Fault | None:
        return _compared(evidence, recorded)

    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(compared, expected.values())
        for number, fault in enumerate(found, start=1):
            if progress is not None:
                progress(number, len(expected))
            if fault is not None:
                yield fault


def _compared(evidence: Evidence, recorded: WrittenObject) -> Fault | None:
    path, remedy = recorded.path, AGAIN
    if path.startswith("clusters/"):
        remedy = "Make the clustering again."
    if path.startswith(tuple(f"{spec.path}/" for spec in FLAGS.values())):
        remedy = "Run 'whyspec verify --repair', or run again: the flags are set anew."
    try:
        data = evidence.objects.get(path)
    except FileNotFoundError:
        return Fault("missing-object", path, "there is no such object", remedy)
    if len(data) != recorded.bytes:
        return Fault("wrong-size", path, f"{len(data)} bytes, recorded are {recorded.bytes}", remedy)
    if digest_of(data) != recorded.digest:
        return Fault("wrong-digest", path, "its content is not what was written", remedy)
    return None


def unexpected_faults(evidence: Evidence, expected: dict[str, WrittenObject]) -> Iterator[Fault]:
    """Data that the ledger does not know: of a block that was not finished, or put by others."""
    known = set(expected) | set(new_documents(evidence.configuration, {}))
    unfinished: dict[tuple[str, int], list[str]] = {}
    for path in evidence.sizes:
        folder, _, rest = path.partition("/c/")
        if path in known or path.endswith(PARTIAL) or "/" not in path:
            continue
        if path.startswith("staging/") or (path.startswith("ledger/") and path.endswith(".json")):
            continue  # the checks of staging and of the ledger look at these
        spec, number = BY_PATH.get(folder), rest.partition("/")[0]
        if spec is None or not number.isdecimal() or spec.object_path(int(number)) != path:
            yield _foreign(path)
        else:
            unfinished.setdefault((spec.kind, int(number)), []).append(path)
    for (kind, index), paths in unfinished.items():
        what = f"{len(paths)} objects of {kind} block {index}, which is not in the ledger"
        yield Fault("uncommitted-objects", min(paths), what, _RUN)


def _foreign(path: str) -> Fault:
    if path.startswith("clusters/"):
        what, remedy = "of a clustering that is not complete", "Make the clustering again."
    else:
        what, remedy = "no part of the store", "Delete it if you put it there."
    return Fault("unexpected-object", path, what, remedy)


def staging_faults(evidence: Evidence) -> Iterator[Fault]:
    """Staging objects, needed until every outlier of their block is explained."""
    explained = {
        row
        for (_, index), rows in evidence.planned_rows.items()
        if index in evidence.explained
        for row in rows
    }
    explained.update(row for entry in evidence.audit.superseded for row in entry.rows.tolist())
    for result in evidence.scored.values():
        waiting = [row for row in result.outliers if row not in explained]
        recorded = {each.path: each for each in result.objects}
        path = staging_path(result.index)
        if path in evidence.sizes and path in recorded:
            fault = _compared(evidence, recorded[path])
            if fault is not None:
                yield fault
        elif waiting:
            what = f"{len(waiting)} outliers of the block are not explained, and not staged"
            yield Fault("staging-missing", path, what, AGAIN)
