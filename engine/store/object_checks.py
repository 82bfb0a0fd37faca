"""Checks of a store's objects: all are there, no others, and with the bytes that were written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

from engine.store.blocks import BlockKind, WrittenObject
from engine.store.catalogue_manifest import MANIFEST, REMEDY, is_file_path
from engine.store.evidence import AGAIN, Evidence, Fault, fault_of, some
from engine.store.ledger import flags_path, result_path
from engine.store.lock_holder import DAMAGED
from engine.store.objects import FOREIGN, largest
from engine.store.run_lock import LOCKS, generation_of, lock_path
from engine.store.schema import ARRAYS, BY_PATH, FLAGS, arrays_of
from engine.store.set_entries import FOLDER
from engine.store.staging import staging_path
from engine.store.stored_arrays import DOCUMENT, difference
from models.atomic_files import PARTIAL
from models.errors import StoreError
from models.json_text import read_json

_READERS = 8
_RUN = "Run again, or 'whyspec verify --repair': the block is then written anew."


def foreign_faults(evidence: Evidence) -> Iterator[Fault]:
    """Links, pipes and devices in the store, and files that are too large to be read."""
    for path, size in evidence.sizes.items():
        if size == FOREIGN or size > largest(path):
            yield from _checked(evidence, path)


def _checked(evidence: Evidence, path: str) -> Iterator[Fault]:
    """A fault if what has that path is no object of the store."""
    try:
        evidence.objects.check(path)
    except StoreError as error:
        yield fault_of(error, evidence.objects.url)


def document_faults(evidence: Evidence) -> Iterator[Fault]:
    """Documents of groups and arrays, and coordinates."""
    fresh = evidence.documents
    for path in sorted(set(fresh) - set(evidence.sizes)):
        missing = Fault("missing-object", path, "there is no such object", DOCUMENT)
        yield next(_checked(evidence, path), missing)
    blocks = {
        "score": max(evidence.snapshot.scored, default=-1),
        "attribution": max(evidence.snapshot.explained, default=-1),
    }
    arrays = {f"{spec.path}/zarr.json": spec for spec in ARRAYS}
    there = [path for path in fresh if evidence.is_file(path)]
    for path, data in evidence.objects.get_all(there, lambda _: None).items():
        if not path.endswith("zarr.json"):
            if data != fresh[path]:
                yield Fault("wrong-coordinate", path, "not the coordinate of the configuration", DOCUMENT)
            continue
        if path == "zarr.json":
            # That of a store was read before anything else; that of a set repeats the set's entry.
            if evidence.entry is not None and data != fresh[path]:
                yield Fault("document-damaged", path, "not what the entry in the ledger says", DOCUMENT)
            continue
        if wrong := difference(data, fresh[path]):
            kind = "array-damaged" if path in arrays else "document-damaged"
            yield Fault(kind, path, wrong, DOCUMENT)
        elif path in arrays:
            spec, length = arrays[path], read_json(data)["shape"][0]
            needed = (blocks[spec.kind] + 1) * spec.shard_shape(evidence.configuration)[0]
            if length < needed:
                what = f"{length} rows, but blocks up to row {needed - 1} are finished"
                yield Fault("array-too-short", path, what, "Run again: the coordinator gives it room.")


def entry_faults(evidence: Evidence) -> Iterator[Fault]:
    """Entries of blocks against the saved plans and the schema."""
    for result in evidence.results:
        path = result_path(result.kind, result.index)
        block = evidence.planned_blocks.get((result.kind, result.index))
        if block is None or block.plan != result.plan:
            remedy = "Restore ledger/plans from a copy of the store."
            yield Fault("plan-missing", path, f"no saved plan has this block (plan {result.plan})", remedy)
        elif block.spectra != result.spectra:
            what = f"{result.spectra} spectra, planned were {block.spectra}"
            yield Fault("count-mismatch", path, what, AGAIN)
        schema = {spec.object_path(result.index) for spec in arrays_of(result.kind)}
        recorded = {each.path for each in result.objects} - {staging_path(result.index)}
        if schema != recorded:
            what = f"records {some(recorded ^ schema)} unlike the schema"
            yield Fault("entry-incomplete", path, what, AGAIN)


def flag_faults(evidence: Evidence) -> Iterator[Fault]:
    """Records of flags against the saved plans."""
    for flag, entries in evidence.snapshot.flagged.items():
        for entry in entries.values():
            block = evidence.planned_blocks.get(("score", entry.block))
            stop = block.first_row + block.spectra if block is not None else 0
            if entry.ranges[-1][1] > stop:
                path, what = flags_path(flag, entry.block), "flags rows that no saved plan has"
                yield Fault("ledger-damaged", path, what, "Run 'whyspec verify --repair'.")


def expected_objects(evidence: Evidence) -> dict[str, WrittenObject]:
    """Every object with a recorded digest, by path; without staging, see :func:`staging_faults`."""
    expected: dict[str, WrittenObject] = {}
    for result in evidence.results:
        if evidence.has_no_data(result):
            continue  # the check of its content gives one fault for the whole block
        for each in result.objects:
            if not each.path.startswith("staging/"):
                expected[each.path] = each
    for entries in evidence.snapshot.flagged.values():
        for entry in entries.values():
            if entry.block in evidence.snapshot.scored:
                expected[entry.flags.path] = entry.flags
    for clustering in evidence.clusterings.values():
        expected |= {each.path: each for each in clustering.objects}
    if evidence.catalogue is not None:
        expected |= evidence.catalogue.objects
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
    size = evidence.sizes.get(path)
    if path.startswith("clusters/"):
        remedy = "Make the clustering again."
    if is_file_path(path):
        remedy = REMEDY
    if path.startswith(tuple(f"{spec.path}/" for spec in FLAGS.values())):
        remedy = "Run 'whyspec verify --repair', or run again: the flags are set anew."
    if size is not None and size not in (FOREIGN, recorded.bytes):
        return Fault("wrong-size", path, f"{size} bytes, recorded are {recorded.bytes}", remedy)
    try:
        if evidence.objects.digest(path) != recorded.digest:
            return Fault("wrong-digest", path, "its content is not what was written", remedy)
    except FileNotFoundError:
        return Fault("missing-object", path, "there is no such object", remedy)
    except StoreError as error:
        return fault_of(error, evidence.objects.url)
    return None


def unexpected_faults(evidence: Evidence, expected: dict[str, WrittenObject]) -> Iterator[Fault]:
    """Objects that the ledger does not know: of a block that was not finished, or of others."""
    blocks = uncommitted_blocks(evidence, expected)
    for (kind, index), paths in blocks.items():
        if evidence.is_under_way and (kind, index) in evidence.planned_blocks:
            continue  # it is being written, or was when the run was killed
        what = f"{len(paths)} objects of {kind} block {index}, which is not in the ledger"
        yield Fault("uncommitted-objects", min(paths), what, _RUN)
    known = {path for paths in blocks.values() for path in paths} | set(expected)
    known |= set(evidence.documents)
    yield from _unknown_sets(evidence)
    for path in evidence.sizes:
        if path in known or path.endswith(PARTIAL) or "/" not in path or not evidence.is_file(path):
            continue
        if path.startswith(f"{FOLDER}/"):
            continue  # one fault for each of these folders
        if path == MANIFEST or is_file_path(path):
            continue  # the next run deletes what the manifest does not name
        if path.startswith("staging/") or (path.startswith("ledger/") and path.endswith(".json")):
            continue  # the checks of staging and of the ledger look at these
        yield _foreign(path)


def _unknown_sets(evidence: Evidence) -> Iterator[Fault]:
    """Folders of sets of explanations that have no entry in the ledger."""
    if evidence.is_under_way:
        return  # one is being made, or was when the process was killed
    own = f"{FOLDER}/zarr.json"  # stays where the last set was removed
    inside = (
        path
        for path in evidence.sizes
        if path.startswith(f"{FOLDER}/") and path != own and not path.endswith(PARTIAL)
    )
    folders = Counter("/".join(path.split("/")[:2]) for path in inside if path not in evidence.documents)
    for folder, count in folders.items():
        what = f"{count} objects of a set of explanations that has no entry in the ledger"
        remedy = "Run 'whyspec verify --repair', which makes the entry anew, or delete the folder."
        yield Fault("unexpected-object", folder, what, remedy)


def uncommitted_blocks(
    evidence: Evidence, expected: dict[str, WrittenObject]
) -> dict[tuple[BlockKind, int], list[str]]:
    """Objects of blocks that are not in the ledger, by kind and index."""
    found: dict[tuple[BlockKind, int], list[str]] = {}
    for path in evidence.sizes:
        block = block_of(path)
        if block is not None and path not in expected and not path.startswith("ledger/"):
            found.setdefault(block, []).append(path)
    return found


def block_of(path: str) -> tuple[BlockKind, int] | None:
    """The block that an object of an array, or an entry of the ledger, belongs to; ``None`` for others."""
    folder, _, rest = path.partition("/c/")
    spec, number = BY_PATH.get(folder), rest.partition("/")[0]
    if spec is not None and number.isdecimal() and spec.object_path(int(number)) == path:
        return spec.kind, int(number)
    for kind in get_args(BlockKind):
        number = path.removeprefix(f"ledger/{kind}/").removesuffix(".json")
        if number.isdecimal() and result_path(kind, int(number)) == path:
            return kind, int(number)
    return None


def lock_faults(evidence: Evidence) -> Iterator[Fault]:
    """A lock whose holder cannot be read, or whose name is that of none."""
    for path in evidence.sizes:
        if path.startswith(f"{LOCKS}/") and not path.endswith(PARTIAL) and generation_of(path) is None:
            yield Fault("lock-damaged", path, "no lock has that name", "Delete this object.")
    if evidence.lock is not None and evidence.lock.record is None:
        path = lock_path(evidence.lock.generation)
        yield Fault("lock-damaged", path, "not the record of a process that holds the store", DAMAGED)


def _foreign(path: str) -> Fault:
    if path.startswith("clusters/"):
        what, remedy = "of a clustering that is not complete", "Make the clustering again."
    else:
        what, remedy = "no part of the store", "Delete it if you put it there."
    return Fault("unexpected-object", path, what, remedy)


def staging_faults(evidence: Evidence) -> Iterator[Fault]:
    """Staging objects, needed until every outlier of their block is explained."""
    unexplained = set(evidence.snapshot.waiting_outliers.tolist())
    for result in evidence.snapshot.scored.values():
        waiting = unexplained.intersection(result.outliers)
        recorded = {each.path: each for each in result.objects}
        path = staging_path(result.index)
        if path in evidence.sizes and path in recorded:
            fault = _compared(evidence, recorded[path])
            if fault is not None:
                yield fault
        elif waiting:
            what = f"{len(waiting)} outliers of the block are not explained, and not staged"
            yield Fault("staging-missing", path, what, AGAIN)
