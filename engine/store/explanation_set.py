"""Explanation set: the explanations of a store's outliers by one more method, under a name.

The run's own explanations lie in ``outliers/`` and have the name ``default``. Every other set is a folder
``explanations/<name>`` that looks like the part of a store that explains: ``outliers/`` with the same arrays,
and a ledger with plans and finished blocks of its own. So one writer, one reader, one verification do.
The spectra and their scores are those of the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.attribution.explanation import Explanations
from engine.spectra.scored_spectra import SelectedSpectra
from engine.store.block_arrays import BlockArrays
from engine.store.blocks import AttributionBlock, WrittenObject
from engine.store.configuration import RunConfiguration
from engine.store.entries import ExplanationSetEntry, misfit
from engine.store.hierarchy import group_document, set_documents
from engine.store.ledger import Ledger
from engine.store.objects import ObjectTree, OnDamage
from engine.store.schema import scales_of, units_of
from engine.store.set_entries import FOLDER, read_entry, set_folder
from engine.store.store import Store
from models.digests import canonical_json
from models.errors import StoreError
from models.json_text import read_json

GROUP = {"description": "one group per set of explanations beside those in outliers/"}

_SPECTRA = ("row", "redshift", "flux", "ivar", "model")
"""Arrays of an explanation that hold its spectrum exactly as it was scored."""


class ExplanationSet:
    """A set of explanations that can be written. Make one with :func:`make_set` or :func:`open_set`.

    Attributes
    ----------
    name : of the set.
    configuration : that of the store, with the method and settings of the set.
    objects : of the set's folder; ledger : its ledger.
    """

    def __init__(self, store: Store, entry: ExplanationSetEntry) -> None:
        self.name = entry.name
        self.configuration = entry.configuration_in(store.configuration)
        self.objects = store.objects.below(set_folder(entry.name))
        self.ledger = Ledger(self.objects, self.configuration)
        self.ledger.guard = store.ledger.guard
        self._store = store
        self._arrays = BlockArrays(self.objects, self.configuration)

    @property
    def url(self) -> str:
        """Where the set is."""
        return self.objects.url

    def grow(self, blocks: int) -> None:
        """Give the arrays room for at least so many blocks; for the coordinator, before any writer starts."""
        self._arrays.grow({"attribution": blocks})

    def unexplained(self, rows: tuple[int, ...]) -> Explanations:
        """The spectra of these rows as they were scored, in their order, to be explained.

        They are taken from the run's own explanations, and from staging where these wait.

        Raises
        ------
        StoreError : a spectrum is in neither, or what holds it is damaged.
        """
        wanted = np.array(rows, np.int64)
        explained = np.array([row in self._numbers for row in rows], dtype=np.bool_)
        parts = [self._stored(wanted[explained])] if explained.any() else []
        if not explained.all():
            parts.append(self._store.staged(tuple(wanted[~explained].tolist())))
        both = SelectedSpectra.concatenate(self.configuration.grid.size, parts)
        selected = both.take(np.argsort(both.row, kind="stable"))
        store = BlockArrays(self._store.objects, self._store.configuration)
        return Explanations.unexplained(
            selected,
            self.configuration.grid,
            scales_of(self.configuration),
            units_of(self.configuration),
            store.rows("spectra/key", selected.row),
            store.rows("spectra/target_id", selected.row),
        )

    def write_explanations(
        self, block: AttributionBlock, explanations: Explanations
    ) -> tuple[WrittenObject, ...]:
        """See :meth:`engine.store.block_arrays.BlockArrays.write_explanations`."""
        return self._arrays.write_explanations(block, explanations)

    def _stored(self, rows: NDArray[np.int64]) -> SelectedSpectra:
        """Spectra that the run has explained."""
        numbers = np.array([self._numbers[row] for row in rows.tolist()], np.int64)
        store = BlockArrays(self._store.objects, self._store.configuration)
        return SelectedSpectra(**{name: store.rows(f"outliers/{name}", numbers) for name in _SPECTRA})

    @cached_property
    def _numbers(self) -> Mapping[int, int]:
        """Row in ``outliers/`` of every spectrum that the run had explained when this was asked first."""
        return outlier_numbers(self._store.ledger)


def outlier_numbers(ledger: Ledger) -> dict[int, int]:
    """Outlier row of every explained spectrum, by its row in ``spectra/``, of finished blocks."""
    finished = ledger.finished("attribution")
    return {
        row: block.first_row + place
        for plan in ledger.attribution_plans()
        for block in plan.blocks
        if block.index in finished
        for place, row in enumerate(block.rows)
    }


def has_unfinished_sets(store: Store) -> bool:
    """Whether a set may have planned blocks that are not finished: their spectra may be in staging alone.

    What is damaged counts as not finished.
    """
    damaged: list[StoreError] = []
    entries = store.ledger.explanation_sets(damaged.append).values()
    unfinished = [_is_unfinished(ExplanationSet(store, each), damaged.append) for each in entries]
    return bool(damaged) or any(unfinished)


def _is_unfinished(own: ExplanationSet, on_damage: OnDamage) -> bool:
    finished = own.ledger.finished("attribution")
    plans = own.ledger.attribution_plans(on_damage)
    return any(index not in finished for plan in plans for index in plan.block_indices)


def make_set(store: Store, entry: ExplanationSetEntry) -> ExplanationSet:
    """A new, empty set of explanations; for the coordinator. One that was killed is completed.

    The entry in the store's ledger is written last: then the set is there.
    """
    store.ledger.guard()
    own = ExplanationSet(store, entry)
    store.objects.put(f"{FOLDER}/zarr.json", group_document(GROUP))
    own.objects.put_all(sorted(set_documents(own.configuration, attributes_of(entry)).items()))
    store.ledger.save_explanation_set(entry)
    return own


def attributes_of(entry: ExplanationSetEntry) -> dict[str, object]:
    """Attributes of the set's group: what its entry says. Settings are JSON text: netCDF has no objects."""
    return {
        "description": f"explanations by {entry.method}, see outliers/ in this group",
        "method": entry.method,
        "settings": canonical_json(entry.settings).decode(),
        "configuration_digest": entry.configuration,
    }


def open_set(store: Store, name: str) -> ExplanationSet:
    """The set of that name beside the run's own.

    Raises
    ------
    InputError : there is none.
    """
    return ExplanationSet(store, read_entry(store.ledger, name))


def recovered_entry(
    objects: ObjectTree, configuration: RunConfiguration, name: str
) -> ExplanationSetEntry | None:
    """The entry of a set from the attributes of its group, in a store of that configuration.

    ``None`` where there is no such group, or it is not what was written.
    """
    path = f"{set_folder(name)}/zarr.json"
    try:
        data = objects.get(path)
        said = read_json(data)["attributes"]
        settings = read_json(said["settings"].encode())
        entry = ExplanationSetEntry(name, said["method"], settings, said["configuration_digest"])
        whole = not misfit(entry, configuration) and data == group_document(attributes_of(entry))
    except (FileNotFoundError, StoreError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return entry if whole else None
