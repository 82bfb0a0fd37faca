"""Verification: every byte of a store against its ledger, and the ledger against itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from engine.store.content_checks import content_faults
from engine.store.evidence import Evidence, Fault
from engine.store.ledger import Ledger
from engine.store.object_checks import (
    digest_faults,
    document_faults,
    entry_faults,
    expected_objects,
    staging_faults,
    unexpected_faults,
)
from engine.store.objects import PARTIAL, ObjectTree
from engine.store.root import read_configuration


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found.

    Attributes
    ----------
    url : the store.
    score_blocks, attribution_blocks : entries of finished blocks that were checked.
    objects, bytes : objects that were read and compared with their digest.
    faults : sorted by place.
    leftovers : temporary files of killed writers; harmless, the end of the next run deletes them.
    """

    url: str
    score_blocks: int
    attribution_blocks: int
    objects: int
    bytes: int
    faults: tuple[Fault, ...]
    leftovers: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return {**asdict(self), "ok": self.ok}


def verify(url: str, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
    """Read a whole store and compare it with its ledger; nothing is changed.

    Parameters
    ----------
    progress : called with the number of objects read so far and of all to read.

    Raises
    ------
    InputError : there is no store.
    StoreError : its schema has another version, or its root is damaged.
    """
    objects = ObjectTree(url)
    evidence = Evidence(objects, read_configuration(objects), Ledger(objects).audit(), objects.sizes())
    faults = [
        Fault("ledger-damaged", error.where.removeprefix(f"{objects.url}/"), error.got, error.remedy)
        for error in evidence.audit.errors
    ]
    expected = expected_objects(evidence)
    faults += document_faults(evidence)
    faults += digest_faults(evidence, expected, progress)
    bad = {fault.where for fault in faults}
    faults += entry_faults(evidence)
    faults += unexpected_faults(evidence, expected)
    faults += staging_faults(evidence)
    faults += content_faults(evidence, bad)
    return VerifyReport(
        url=url,
        score_blocks=len(evidence.scored),
        attribution_blocks=len(evidence.explained),
        objects=sum(path in evidence.sizes for path in expected),
        bytes=sum(evidence.sizes.get(path, 0) for path in expected),
        faults=tuple(sorted(faults, key=lambda fault: (fault.where, fault.kind))),
        leftovers=tuple(path for path in evidence.sizes if path.endswith(PARTIAL)),
    )
