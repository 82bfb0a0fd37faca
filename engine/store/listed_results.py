"""Listed results: the finished blocks that one listing found, whose entries are read when asked for."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView

from engine.store.blocks import BlockKind, BlockResult
from engine.store.ledger import Ledger


class ListedResults(Mapping[int, BlockResult]):
    """Finished blocks of a kind by index, ascending. Each entry is read once at most.

    To look at an entry raises StoreError where it is damaged.

    Attributes
    ----------
    sizes : bytes of each block's entry, by index, as they were listed.
    """

    def __init__(self, ledger: Ledger, kind: BlockKind) -> None:
        self._ledger, self._kind = ledger, kind
        self._known: dict[int, BlockResult] = {}
        self.sizes = ledger.finished(kind)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[int]:
        return iter(self.sizes)

    def __contains__(self, index: object) -> bool:
        return index in self.sizes

    def __getitem__(self, index: int) -> BlockResult:
        if index not in self.sizes:
            raise KeyError(index)
        return self.of([index])[index]

    def items(self) -> ItemsView[int, BlockResult]:
        """All of them, read together."""
        return self.of(self.sizes).items()

    def values(self) -> ValuesView[BlockResult]:
        """All of them, read together."""
        return self.of(self.sizes).values()

    def of(self, indices: Iterable[int]) -> dict[int, BlockResult]:
        """These of the listed blocks, in this order, read together.

        Raises
        ------
        StoreError : an entry is damaged; the text names it.
        """
        wanted = list(indices)
        self._known |= self._ledger.results_of(
            self._kind, [each for each in wanted if each not in self._known]
        )
        return {index: self._known[index] for index in wanted}
