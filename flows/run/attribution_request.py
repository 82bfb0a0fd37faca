"""Request of an attribution: which outliers of a store to explain by which method, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.run.request import ExecutorName
from models.credentials import refuse_credentials
from models.errors import ConfigurationError, ErrorKind

if TYPE_CHECKING:
    from engine.query.settings import QuerySettings


@dataclass(frozen=True)
class AttributionRequest:
    """What is asked of an attribution.

    Attributes
    ----------
    store : path or URL of a store.
    method : name of the method; None for that of the set of that name, without a name for
        :data:`engine.attribution.methods.SECOND_METHOD`.
    name : of the set; that of the method where empty.
    settings : of the method by name, as values or as texts; those left out are as the set has them, else the
        method's defaults.
    selection : which outliers to explain; None for all.
    models : names or directories of the store's models that have moved.
    executor, workers, wait : see :class:`flows.run.request.RunRequest`.
    """

    store: str
    method: str | None = None
    name: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    selection: QuerySettings | None = None
    models: tuple[str, ...] = ()
    executor: ExecutorName = "ray"
    workers: int = 0
    wait: float = 0.0

    def __post_init__(self) -> None:
        if self.selection is not None and self.selection.columns:
            raise ConfigurationError(
                "An attribution has no columns to choose.",
                where="--columns",
                got=", ".join(self.selection.columns),
                allowed="with whyspec query",
                remedy="Leave it out.",
                kind=ErrorKind.OPTION,
            )
        refuse_credentials(self.store, *self.models, *map(str, self.settings.values()))
