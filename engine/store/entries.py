"""Entries: what the objects of a ledger say, and whether their numbers fit the store.

A number of an entry decides how much memory and time a command takes. So it is compared with the store's
configuration before anything is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.attribution.method import MethodSettings
from engine.attribution.method_choice import method_named
from engine.store.blocks import BlockResult, WrittenObject
from engine.store.configuration import RunConfiguration
from engine.store.saved_plans import AttributionPlan, ScorePlan
from engine.store.schema import FLAGS, FlagName, check_sizes
from models.errors import ConfigurationError

MOST_BLOCKS = 2**20
"""Blocks of a kind that a store may have: each is an object in one folder of the ledger."""


@dataclass(frozen=True, slots=True)
class FlaggedRows:
    """Rows of one score block that carry a flag, and the object of the block's flags.

    ``ranges`` are the rows as ``[start, stop)``, ascending; the rows of a replaced file are one range.
    """

    flag: FlagName
    block: int
    ranges: tuple[tuple[int, int], ...]
    flags: WrittenObject

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows, ascending."""
        return joined_rows([self])


@dataclass(frozen=True, slots=True)
class ClusteringEntry:
    """A complete clustering: its name and its objects."""

    name: str
    objects: tuple[WrittenObject, ...]


RUN_SET = "default"
"""Name of the explanations that runs make; they lie in ``outliers/``."""

_SET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def is_set_name(name: str) -> bool:
    """Whether a set of explanations beside the run's own may have that name."""
    return name != RUN_SET and _SET_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class ExplanationSetEntry:
    """A set of explanations beside the run's own: its name, and how its explanations are made.

    Attributes
    ----------
    name : of the set, and of its folder.
    method : name of the method; settings : its settings, see
        :meth:`engine.attribution.method.MethodSettings.to_dict`.
    configuration : digest of :meth:`configuration_in`: method, settings, models with their calibration
        spectra, grid and sizes of blocks.
    """

    name: str
    method: str
    settings: dict[str, Any]
    configuration: str

    @classmethod
    def of(cls, name: str, attribution: MethodSettings, store: RunConfiguration) -> ExplanationSetEntry:
        """The entry of a set by such a method, in a store of that configuration."""
        digest = replace(store, attribution=attribution).digest
        return cls(name, attribution.method, attribution.to_dict(), digest)

    @property
    def attribution(self) -> MethodSettings:
        """The method's settings.

        Raises
        ------
        ConfigurationError : there is no such method or setting, or a value is not allowed.
        """
        found: MethodSettings = method_named(self.method).settings.from_dict(self.settings)
        return found

    def configuration_in(self, store: RunConfiguration) -> RunConfiguration:
        """The configuration of a store of that one, if its runs explained as the set does."""
        return replace(store, attribution=self.attribution)


Entry = BlockResult | FlaggedRows | ClusteringEntry | ExplanationSetEntry | ScorePlan | AttributionPlan


def joined_rows(entries: Iterable[FlaggedRows]) -> NDArray[np.int64]:
    """The rows of several entries, in their order."""
    ranges = [each for entry in entries for each in entry.ranges]
    return np.concatenate([np.empty(0, np.int64), *(np.arange(*each) for each in ranges)])


def ranges_of(rows: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Ascending rows as ranges ``[start, stop)``."""
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []
    return tuple((int(part[0]), int(part[-1]) + 1) for part in parts)


def within(rows: NDArray[np.int64], ranges: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Whether each row is in one of these ascending ranges, found without an array of all of their rows."""
    starts, stops = np.array(ranges, np.int64).reshape(-1, 2).T
    place = np.searchsorted(starts, rows, side="right") - 1
    found = place >= 0
    found[found] = rows[found] < stops[place[found]]
    return found


def misfit(entry: Entry, configuration: RunConfiguration) -> str:
    """The first number or name of an entry that does not fit the store; empty if all do."""
    match entry:
        case BlockResult():
            found = _of_result(entry, configuration)
        case FlaggedRows():
            found = _of_flags(entry, configuration)
        case ClusteringEntry():
            found = _of_clustering(entry)
        case ExplanationSetEntry():
            found = _of_set(entry, configuration)
        case ScorePlan():
            found = _of_score_plan(entry, configuration)
        case AttributionPlan():
            found = _of_attribution_plan(entry, configuration)
    return next(found, "")


def _of_result(entry: BlockResult, configuration: RunConfiguration) -> Iterator[str]:
    capacity = configuration.rows_per_block(entry.kind)
    first = entry.index * capacity
    if not 0 <= entry.index < MOST_BLOCKS:
        yield f"block {entry.index}, a store has at most {MOST_BLOCKS:,}"
    if not 0 < entry.spectra <= capacity:
        yield f"{entry.spectra} spectra in a block of {capacity} rows"
    if not _ascending(entry.outliers, first, first + entry.spectra):
        yield "outliers that are no rows of the block"
    if not all(-1 <= each.model < len(configuration.models) for each in entry.classes):
        yield f"a model that is none of the store's {len(configuration.models)}"


def _of_flags(entry: FlaggedRows, configuration: RunConfiguration) -> Iterator[str]:
    first, expected = entry.block * configuration.block_rows, FLAGS[entry.flag].object_path(entry.block)
    if not 0 <= entry.block < MOST_BLOCKS:
        yield f"block {entry.block}, a store has at most {MOST_BLOCKS:,}"
    places = [place for each in entry.ranges for place in each]
    # A range may begin where the one before it ends.
    in_order = all(start < stop for start, stop in entry.ranges) and places == sorted(places)
    if not in_order or not all(first <= place <= first + configuration.block_rows for place in places):
        yield "flags of rows that are not the block's"
    if entry.flags.path != expected:
        yield f"flags in {entry.flags.path}, theirs is {expected}"


def _of_clustering(entry: ClusteringEntry) -> Iterator[str]:
    if not all(each.path.startswith(f"clusters/{entry.name}/") for each in entry.objects):
        yield "objects that are not the clustering's"


def _of_set(entry: ExplanationSetEntry, configuration: RunConfiguration) -> Iterator[str]:
    if not is_set_name(entry.name):
        yield f"the name {entry.name!r}"
    try:
        own = entry.configuration_in(configuration)
        check_sizes(own)
        if own.digest != entry.configuration:
            yield "a digest of other settings or other models"
    except ConfigurationError as error:
        yield f"{error.what} {error.got}"
    except (AssertionError, AttributeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        yield f"settings that are none ({type(error).__name__}: {error})"


def _of_score_plan(entry: ScorePlan, configuration: RunConfiguration) -> Iterator[str]:
    if entry.capacity != configuration.block_rows:
        yield f"blocks of {entry.capacity} rows, the store's have {configuration.block_rows}"
    if not all(file.spectra >= 0 for file in entry.files):
        yield "a file of less than no spectra"
    picked = (file for file in entry.files if file.picked)
    if not all(
        len(file.picked) == file.spectra and _ascending(file.picked, 0, file.of_spectra) for file in picked
    ):
        yield "picked rows that are not a file's"
    own = ([row for row, _, _ in file.own_redshifts] for file in entry.files)
    if not all(_ascending(tuple(rows), 0, MOST_BLOCKS * configuration.block_rows) for rows in own):
        yield "redshifts of rows that are not in ascending order"
    if not 0 <= entry.first_block <= entry.stop_block <= MOST_BLOCKS:
        yield f"blocks {entry.first_block} to {entry.stop_block}, a store has at most {MOST_BLOCKS:,}"


def _of_attribution_plan(entry: AttributionPlan, configuration: RunConfiguration) -> Iterator[str]:
    if entry.capacity != configuration.outlier_block_rows:
        yield f"blocks of {entry.capacity} rows, the store's have {configuration.outlier_block_rows}"
    if not _ascending(entry.rows, 0, MOST_BLOCKS * configuration.block_rows):
        yield "rows that a store cannot have"
    if not 0 <= entry.first_block <= entry.stop_block <= MOST_BLOCKS:
        yield f"blocks {entry.first_block} to {entry.stop_block}, a store has at most {MOST_BLOCKS:,}"


def _ascending(rows: tuple[int, ...], first: int, stop: int) -> bool:
    """Whether rows are ascending and within ``[first, stop)``."""
    return not rows or (
        first <= rows[0] and rows[-1] < stop and all(row < after for row, after in pairwise(rows))
    )
