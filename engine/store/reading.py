"""Store for readers: complete blocks only, as tables and as single explanations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.attribution.explanation import Explanation
from engine.attribution.method import MethodSettings
from engine.store.blocks import BlockKind, BlockResult
from engine.store.clusters import StoredClustering, read_clustering
from engine.store.configuration import RunConfiguration
from engine.store.entries import RUN_SET, joined_rows, within
from engine.store.ledger import Ledger, result_path
from engine.store.listed_results import ListedResults
from engine.store.objects import ObjectTree
from engine.store.root import read_configuration
from engine.store.routing import NO_MODEL
from engine.store.schema import ARRAYS, BY_PATH, EXPLANATIONS, FLAGS, scales_of, units_of
from engine.store.set_entries import read_entry, set_folder
from engine.store.snapshot import Snapshot
from models.errors import ErrorKind, InputError
from models.row_status import RowStatus

if TYPE_CHECKING:
    import pandas as pd

    from engine.store.stored_arrays import StoredArray

_ROW_SCALARS = {spec.name: spec.path for spec in ARRAYS if spec.dims == ("row",)}
_OUTLIER_SCALARS = {spec.name: spec.path for spec in ARRAYS if spec.dims == ("outlier",)}
LATENTS = "latents"
"""Stands for all latents in a list of columns; they become ``latent_0``, ``latent_1``, ..."""


@dataclass(frozen=True)
class StoreView:
    """What was committed when the view was opened; blocks that come later are not seen.

    Attributes
    ----------
    objects : the store's objects.
    configuration : what the store is bound to.
    scored, explained : committed blocks of either kind by index, ascending.
    flagged : rows that carry a flag, ascending, by flag.
    explanation : name of the set that its explanations are of, see :meth:`with_explanation`.
    base : the view with the explanations of the runs; None where this is it.
    """

    objects: ObjectTree
    configuration: RunConfiguration
    scored: Mapping[int, BlockResult]
    explained: Mapping[int, BlockResult]
    flagged: Mapping[str, NDArray[np.int64]]
    explanation: str = RUN_SET
    base: StoreView | None = None

    @classmethod
    def open(cls, url: str) -> StoreView:
        """A view of the store at ``url``.

        Raises
        ------
        InputError : there is no store.
        StoreError : its schema has another version, or its records of flags are damaged.
        """
        objects = ObjectTree(url)
        configuration = read_configuration(objects)
        ledger = Ledger(objects, configuration)
        # What refers to rows first: every row that is explained, or replaces another, is then a scored one.
        flagged: dict[str, NDArray[np.int64]] = {
            flag: joined_rows(ledger.flagged(flag).values()) for flag in FLAGS
        }
        explained = ListedResults(ledger, "attribution")
        return cls(objects, configuration, ListedResults(ledger, "score"), explained, flagged)

    @classmethod
    def of(cls, objects: ObjectTree, configuration: RunConfiguration, snapshot: Snapshot) -> StoreView:
        """A view of a store whose ledger was read already."""
        flagged: dict[str, NDArray[np.int64]] = {flag: snapshot.rows_flagged(flag) for flag in FLAGS}
        return cls(objects, configuration, snapshot.scored, snapshot.explained, flagged)

    @property
    def of_runs(self) -> StoreView:
        """The same spectra with the explanations of the runs."""
        return self.base or self

    def explanation_sets(self) -> dict[str, MethodSettings]:
        """Method and settings of each set of explanations by name, that of the runs first."""
        sets = self._ledger.explanation_sets().items()
        own = {RUN_SET: self.of_runs.configuration.attribution}
        return own | {name: entry.attribution for name, entry in sets}

    def with_explanation(self, name: str) -> StoreView:
        """The same spectra with the explanations of the set of that name, and its configuration.

        Raises
        ------
        InputError : there is none of that name.
        StoreError : its entry in the ledger is damaged.
        """
        if name == self.explanation:
            return self
        if name == RUN_SET:
            return self.of_runs
        configuration = read_entry(self._ledger, name).configuration_in(self.configuration)
        ledger = Ledger(self.objects.below(set_folder(name)), configuration)
        explained = ListedResults(ledger, "attribution")
        return replace(
            self, configuration=configuration, explained=explained, explanation=name, base=self.of_runs
        )

    @property
    def url(self) -> str:
        """Where the store is."""
        return self.objects.url

    @cached_property
    def wavelength(self) -> NDArray[np.float64]:
        """Pixel centres in Angstrom, (N,)."""
        return self.configuration.grid.wavelength()

    @cached_property
    def row_ranges(self) -> tuple[tuple[int, int], ...]:
        """Store rows that hold spectra, ``[start, stop)`` and ascending; padding left out."""
        return self._ranges("score", self.scored)

    @cached_property
    def outlier_ranges(self) -> tuple[tuple[int, int], ...]:
        """Outlier rows that hold explanations, ``[start, stop)`` and ascending; padding left out."""
        return self._ranges("attribution", self.explained)

    @property
    def outlier_numbers(self) -> NDArray[np.int64]:
        """Outlier rows that hold explanations, ascending: what :meth:`read` gives of an array of outliers."""
        return self._numbers("attribution")

    @property
    def spectra(self) -> int:
        """Number of committed spectra, superseded ones included."""
        return sum(stop - start for start, stop in self.row_ranges)

    @property
    def outliers(self) -> int:
        """Number of committed explanations, superseded ones included."""
        return sum(stop - start for start, stop in self.outlier_ranges)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of :meth:`table` when none are asked for: all but the latents."""
        return (*_ROW_SCALARS, *self.configuration.reconstruction_scores)

    def table(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Columns of all committed spectra, indexed by store row; superseded ones are flagged.

        ``columns`` names any of :attr:`columns`, and ``"latents"`` for all latents.

        Raises
        ------
        InputError : there is no column of that name.
        """
        import pandas as pd

        data: dict[str, NDArray[Any]] = {}
        reconstruction: NDArray[Any] | None = None
        for name in self.columns if columns is None else columns:
            if name in self.flagged:
                # From the ledger: the array may be a moment behind or ahead of it.
                data[name] = np.isin(self._numbers("score"), self.flagged[name])
            elif name in _ROW_SCALARS:
                data[name] = self.read(_ROW_SCALARS[name])
            elif name in self.configuration.reconstruction_scores:
                if reconstruction is None:
                    reconstruction = self.read("scores/reconstruction")
                place = self.configuration.reconstruction_scores.index(name)
                data[name] = reconstruction[:, place]
            elif name == LATENTS:
                latents = self.read("scores/latents")
                data |= {f"latent_{place}": latents[:, place] for place in range(latents.shape[1])}
            else:
                raise self._no_column(name, (*self.columns, LATENTS))
        return _frame(data, pd.Index(self._numbers("score"), name="row"))

    def outliers_table(self, columns: Sequence[str] = ("score", "tail_probability")) -> pd.DataFrame:
        """All committed explanations without their maps, indexed by outlier row.

        ``columns`` names columns of :meth:`table` to add from the explained spectra's rows;
        the flags ``superseded`` and ``gone`` are always there.
        """
        import pandas as pd

        data: dict[str, NDArray[Any]] = {name: self.read(path) for name, path in _OUTLIER_SCALARS.items()}
        rows = data["row"].astype(np.int64)
        data |= {flag: np.isin(rows, flagged) for flag, flagged in self.flagged.items()}
        frame = _frame(data, pd.Index(self._numbers("attribution"), name="outlier"))
        wanted = [name for name in columns if name not in frame.columns]
        if wanted:
            added = self.table(wanted).loc[rows]
            frame = pd.concat([frame, added.set_index(frame.index)], axis=1)
        return frame

    def latest_explanations(self) -> pd.DataFrame:
        """:meth:`outliers_table` indexed by the row in ``spectra``; of a row explained twice the latest."""
        latest = self.outliers_table(()).reset_index().drop_duplicates("row", keep="last")
        return latest.set_index("row")

    def outlier(self, number: int) -> Explanation:
        """The explanation in outlier row ``number``.

        Raises
        ------
        InputError : there is no complete explanation of that number.
        """
        block, place = divmod(number, self.configuration.outlier_block_rows)
        if block not in self.explained or place >= self.explained[block].spectra:
            raise InputError(
                "There is no explained outlier of that number.",
                where=self.url,
                got=number,
                allowed=_shown(self.outlier_ranges),
                remedy="List the outliers with 'whyspec query'.",
                kind=ErrorKind.NO_OUTLIER,
            )
        values = {name: self._array(spec.path, number + 1)[number] for name, spec in EXPLANATIONS.items()}
        return Explanation.of(
            self.configuration.grid, scales_of(self.configuration), units_of(self.configuration), values
        )

    def read(self, path: str) -> NDArray[Any]:
        """The committed, non-padding part of an array, e.g. ``"scores/latents"``; all in memory.

        Raises
        ------
        InputError : the schema has no such array.
        """
        if path not in BY_PATH:
            raise self._no_column(path, tuple(BY_PATH))
        return self._read(path, self.row_ranges if BY_PATH[path].kind == "score" else self.outlier_ranges)

    def entry_sizes(self, kind: BlockKind) -> dict[int, int]:
        """Bytes of the ledger's entry of each of the view's blocks of a kind, by index, ascending."""
        results = self.scored if kind == "score" else self.explained
        listed = results.sizes if isinstance(results, ListedResults) else self._ledger.finished(kind)
        return {index: size for index, size in listed.items() if index in results}

    def plan_digests(self) -> frozenset[str]:
        """Digests of the store's saved plans."""
        return self._ledger.plan_digests()

    def read_blocks(self, path: str, blocks: Sequence[int]) -> NDArray[Any]:
        """The same of some committed blocks of the array's kind, in this order."""
        return self._read(path, self._ranges(BY_PATH[path].kind, blocks))

    def numbers(self, kind: BlockKind, blocks: Sequence[int]) -> NDArray[np.int64]:
        """Row numbers of what :meth:`read_blocks` gives of these blocks."""
        return _numbers(self._ranges(kind, blocks))

    def _read(self, path: str, ranges: tuple[tuple[int, int], ...]) -> NDArray[Any]:
        array = self._array(path, max((stop for _, stop in ranges), default=0))
        parts = [array[start:stop] for start, stop in _joined(ranges)]
        values = np.concatenate(parts) if parts else array[0:0]
        self._check_values(path, values)
        return values

    def clusterings(self) -> tuple[str, ...]:
        """Names of the complete clusterings, sorted."""
        return self._ledger.clustering_names()

    def clustering(self, name: str) -> StoredClustering:
        """A complete clustering.

        Raises
        ------
        InputError : there is none of that name.
        """
        return read_clustering(self.objects, self._ledger, name)

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.objects, self.configuration)

    def _array(self, path: str, rows: int) -> StoredArray:
        # Imported here: it needs Zarr, and a query that its catalogue answers reads no array.
        from engine.store.stored_arrays import open_array

        return open_array(self.objects_of(path), self.configuration, path, rows)

    def objects_of(self, path: str) -> ObjectTree:
        """The objects below which an array has this path: those of the view's set of explanations, or all."""
        if self.explanation == RUN_SET or BY_PATH[path].kind == "score":
            return self.objects
        return self.objects.below(set_folder(self.explanation))

    def _check_values(self, path: str, values: NDArray[Any]) -> None:
        """Refuse values that refer to what the store has not."""
        from engine.store.stored_arrays import REMEDY, array_damaged

        match path:
            case "spectra/status":
                allowed = np.isin(values, list(RowStatus))
            case "scores/model" | "outliers/model":
                allowed = (values >= NO_MODEL) & (values < len(self.configuration.models))
            case "outliers/row":
                allowed = within(values, self.row_ranges)
            case _:
                return
        if not allowed.all():
            wrong = int(values[~allowed][0])
            got = f"the value {wrong}, which refers to nothing"
            if path == "outliers/row" and wrong >= 0:
                entry = result_path("score", wrong // self.configuration.block_rows)
                got = f"row {wrong}, which is no spectrum of a finished block: see {entry}"
            raise array_damaged(f"{self.objects_of(path).url}/{path}", got, REMEDY)

    def _numbers(self, kind: BlockKind) -> NDArray[np.int64]:
        return _numbers(self.row_ranges if kind == "score" else self.outlier_ranges)

    def _ranges(self, kind: BlockKind, blocks: Iterable[int]) -> tuple[tuple[int, int], ...]:
        results = self.scored if kind == "score" else self.explained
        capacity = self.configuration.rows_per_block(kind)
        found = results.of(blocks) if isinstance(results, ListedResults) else results
        return tuple((index * capacity, index * capacity + found[index].spectra) for index in blocks)

    def _no_column(self, name: str, allowed: tuple[str, ...]) -> InputError:
        return InputError(
            "The store has no column of that name.",
            where=self.url,
            got=name,
            allowed=", ".join(allowed),
            remedy="Choose among the allowed names.",
            kind=ErrorKind.NO_COLUMN,
        )


def _numbers(ranges: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *(np.arange(*each) for each in ranges)])


def _joined(ranges: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """Ranges that touch made one, so that zarr reads their shards together."""
    joined: list[tuple[int, int]] = []
    for start, stop in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _frame(data: dict[str, NDArray[Any]], index: pd.Index[Any]) -> pd.DataFrame:
    import pandas as pd

    columns = {
        name: pd.array(values.astype(object), dtype="str") if values.dtype.kind in "TO" else values
        for name, values in data.items()
    }
    return pd.DataFrame(columns, index=index)


def _shown(ranges: tuple[tuple[int, int], ...]) -> str:
    shown = [f"{start} to {stop - 1}" for start, stop in _joined(ranges)[:8]]
    return ", ".join(shown) or "none: nothing is explained yet"
