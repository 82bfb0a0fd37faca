"""The user's own tables of a run: targets that it is narrowed to, redshifts and class that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.query.named_rows import names_of
from engine.query.redshift_table import RedshiftTable, read_redshift_table
from engine.query.target_list import TargetList, read_target_list
from engine.run.picking import Picked, Wanted
from engine.surveys.row_names import Name, shown_name
from flows.run.class_summary import RunWarning
from flows.run.request import RunRequest
from models.digests import digest_of

_SHOWN = 5


@dataclass(frozen=True)
class OwnTables:
    """The tables of a request, read; None for those that it does not name."""

    targets: TargetList | None = None
    redshifts: RedshiftTable | None = None

    @classmethod
    def of(cls, request: RunRequest) -> OwnTables:
        """Read them.

        Raises
        ------
        InputError : a table cannot be read, or does not say what it should.
        """
        return cls(
            read_target_list(Path(request.targets)) if request.targets else None,
            read_redshift_table(Path(request.redshifts)) if request.redshifts else None,
        )

    def wanted(self, own_class: str) -> Wanted:
        """What the tables and a class ask of a release."""
        targets, redshifts = self.targets, self.redshifts
        return Wanted(
            None if targets is None else {targets.named_by: dict.fromkeys(names_of(targets.values))},
            {} if redshifts is None else {redshifts.named_by: redshifts.values},
            own_class,
        )

    @property
    def targets_digest(self) -> str:
        """Digest of the names of the targets, in whatever order; empty for none."""
        return "" if self.targets is None else _digest(self.targets)

    @property
    def redshifts_digest(self) -> str:
        """Digest of the redshifts, in whatever order; empty for none."""
        return "" if self.redshifts is None else self.redshifts.digest

    def warnings(self, picked: Picked) -> tuple[RunWarning, ...]:
        """What of the tables was not used."""
        found: list[RunWarning] = []
        for option, table, missing in (
            ("--targets", self.targets, picked.targets_missing),
            ("--redshifts", self.redshifts, picked.redshifts_missing),
        ):
            if table is not None:
                found += _warnings(option, table, missing)
        return tuple(found)


def _warnings(
    option: str, table: TargetList | RedshiftTable, missing: Sequence[Name]
) -> Sequence[RunWarning]:
    warnings = []
    if table.skipped:
        text = f"{option}: {table.skipped:,} rows of {table.path} say nothing that can be used."
        warnings.append(RunWarning(text, severe=False))
    if missing:
        shown = ", ".join(map(shown_name, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        what = "no spectrum that is read has" if option == "--redshifts" else "the release does not have"
        text = f"{option}: {what} {len(missing):,} of the {len(table):,} names of {table.path}: {shown}."
        warnings.append(RunWarning(text, severe=False))
    return warnings


def _digest(targets: TargetList) -> str:
    names = sorted(map(shown_name, names_of(targets.values)))
    return digest_of("\n".join([targets.named_by, *names]).encode())
