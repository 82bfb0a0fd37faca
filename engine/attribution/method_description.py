"""Description of a method of attribution, with its defaults, for people and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, get_args, get_type_hints

from engine.attribution.attribution import Attribution
from engine.attribution.method import AttributionMethod, Need
from engine.attribution.setting_kinds import said, written


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a method.

    Attributes
    ----------
    name : as ``--setting`` takes it; default : likewise.
    kind : what it may be, in words.
    """

    name: str
    default: str
    kind: str


@dataclass(frozen=True, slots=True)
class MethodDescription:
    """One method with its defaults.

    Attributes
    ----------
    name : of the method.
    needs : what it asks of a model, see :data:`engine.attribution.method.Need`.
    passes : forward passes that one explanation of so many ``pixels`` stands for.
    settings : all of them.
    reference : where the method is described.
    """

    name: str
    needs: tuple[Need, ...]
    pixels: int
    passes: int
    settings: tuple[Setting, ...]
    reference: str

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return asdict(self)

    def facts(self) -> list[tuple[str, str]]:
        """The same, each with its name, for people."""
        settings = [f"{each.name}={each.default} ({each.kind})" for each in self.settings]
        return [
            ("needs", ", ".join(self.needs)),
            ("passes", f"{self.passes:,} for {self.pixels:,} pixels"),
            ("settings", "\n".join(settings) or "none"),
            ("reference", self.reference),
        ]


def description_of(method: AttributionMethod[Any, Attribution], pixels: int) -> MethodDescription:
    """Of a method; its passes are for a spectrum of so many pixels, with the default settings."""
    kinds = get_type_hints(method.settings)
    settings = (
        Setting(each.name, written(each.default), said(kinds[each.name])) for each in fields(method.settings)
    )
    return MethodDescription(
        method.name,
        tuple(need for need in get_args(Need) if need in method.needs),
        pixels,
        method.passes(method.settings(), pixels),
        tuple(settings),
        method.reference,
    )
