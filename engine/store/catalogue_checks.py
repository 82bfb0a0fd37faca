"""Checks of a store's catalogue: it is of this store, and of the ledger as it is."""

from __future__ import annotations

from collections.abc import Iterator

from engine.store.catalogue_manifest import MANIFEST, REMEDY, CataloguePart
from engine.store.evidence import Evidence, Fault, some
from engine.store.ledger import result_path


def catalogue_faults(evidence: Evidence) -> Iterator[Fault]:
    """Parts that were made of other ledger entries than those that are there.

    Whether its files are as they were written, the check of all objects says. That it lacks blocks is no
    fault: it gets them at the end of a run.
    """
    parts = evidence.catalogue.parts if evidence.catalogue is not None else ()
    for number, part in enumerate(parts):
        if other := _made_of_others(evidence, part):
            what = f"part {number} was made of other entries than {some(other)}"
            yield Fault("catalogue-stale", MANIFEST, what, REMEDY)


def _made_of_others(evidence: Evidence, part: CataloguePart) -> list[str]:
    """Entries of the part's blocks that are not those that it was made of; damaged ones left out."""
    results = evidence.snapshot.scored if part.kind == "score" else evidence.snapshot.explained
    paths = {block: result_path(part.kind, block.index) for block in part.blocks}
    damaged = {error.where.removeprefix(f"{evidence.objects.url}/") for error in evidence.damaged}
    return [path for block, path in paths.items() if path not in damaged and not block.is_of(results)]


def blocks_not_in_catalogue(evidence: Evidence) -> int:
    """Finished blocks that no part of the catalogue holds."""
    parts = evidence.catalogue.parts if evidence.catalogue is not None else ()
    held = {(part.kind, block.index) for part in parts for block in part.blocks}
    return sum((result.kind, result.index) not in held for result in evidence.results)
