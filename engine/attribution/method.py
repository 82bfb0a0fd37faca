"""Method of attribution: the door that every method has, with its settings.

A method is one value in a file of its own, and in the list of :mod:`engine.attribution.methods`. A run, the
command ``explain`` and evaluations know a method by its settings alone, and call it as
``method_of(settings).attribute(subject, settings)``. Who opens a store knows all methods, and needs no torch:
a method's file imports torch, and what imports torch, where it explains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Self, TypeVar

from engine.attribution.attribution import Attribution
from engine.attribution.setting_kinds import in_one_line, written
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard

if TYPE_CHECKING:
    from engine.attribution.subject import Subject

Need = Literal["forward", "gradient", "decoder", "anew"]
"""What a method may ask of a model: ``Subject.log_prob``, ``Subject.gradient``, ``Subject.decoder``,
``Subject.model_anew``."""

MOST_WHOLE = 2**32 - 1
"""Largest whole number of a setting: the largest seed that all generators take."""

GRADIENT_PASSES = 3
"""Forward passes that one pass with gradient is counted as."""


@dataclass(frozen=True, slots=True)
class MethodSettings:
    """What a method lets one choose: a frozen dataclass with defaults that refuses what is not allowed.

    Attributes
    ----------
    method : name of the method.
    """

    method: ClassVar[str]

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of the settings, in order."""
        return tuple(each.name for each in fields(cls))

    @classmethod
    def defaults(cls) -> str:
        """Every setting with its default, for people: ``samples=2000, sampling=paired``."""
        return ", ".join(f"{each.name}={written(each.default)}" for each in fields(cls)) or "no settings"

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready description; :meth:`from_dict` is its inverse."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, object]) -> Self:
        """The settings that :meth:`to_dict` described; names left out keep their defaults.

        Raises
        ------
        ConfigurationError : an unknown name, or a value outside what is allowed.
        """
        unknown = sorted(set(description) - set(cls.names()))
        if unknown:
            raise ConfigurationError(
                "Settings of an attribution hold names that this version does not know.",
                where=f"{cls.method} settings",
                got=", ".join(unknown),
                allowed=cls.defaults(),
                remedy="Correct the names, or use the version of whyspec that wrote them.",
                kind=ErrorKind.ATTRIBUTION_SETTINGS,
            )
        values = {
            name: tuple(value) if isinstance(value, list) else value for name, value in description.items()
        }
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigurationError(
                "Settings of an attribution hold a value of the wrong kind.",
                where=f"{cls.method} settings",
                got=dict(description),
                allowed=", ".join(f"{field.name}: {field.type}" for field in fields(cls)),
                remedy="Correct the value's kind.",
                kind=ErrorKind.ATTRIBUTION_SETTINGS,
            ) from error

    def __str__(self) -> str:
        """All settings in one line, for people."""
        return in_one_line(self.to_dict())


def check_whole(settings: MethodSettings, **least: int) -> None:
    """Refuse named settings that are not whole numbers from the least that is given to :data:`MOST_WHOLE`.

    Raises
    ------
    ConfigurationError : one is.
    """
    for name, lowest in least.items():
        value = getattr(settings, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise setting_error(settings, name, f"an integer of at least {lowest}")
        if value > MOST_WHOLE:
            raise setting_error(settings, name, f"an integer of at most {MOST_WHOLE}")


def check_choice(settings: MethodSettings, name: str, choices: tuple[object, ...]) -> None:
    """Refuse a named setting that is none of ``choices``.

    Raises
    ------
    ConfigurationError : it is none.
    """
    if getattr(settings, name) not in choices:
        raise setting_error(settings, name, ", ".join(map(str, choices)))


def check_between(settings: MethodSettings, name: str, low: float, high: float) -> None:
    """Refuse a named setting that is not a number above ``low`` and at most ``high``.

    Raises
    ------
    ConfigurationError : it is none.
    """
    value = getattr(settings, name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low < value <= high:
        raise setting_error(settings, name, f"a number above {low:g}, at most {high:g}")


def refuse_baselines(
    settings: MethodSettings, name: str, wanted: int, card: ModelCard, calibration_size: int
) -> None:
    """Refuse a model with fewer calibration spectra than the named setting wants baselines.

    Raises
    ------
    ConfigurationError : it has fewer.
    """
    if wanted > calibration_size:
        raise ConfigurationError(
            "More baselines are asked for than the model has calibration spectra.",
            where=f"{settings.method} settings, {name}",
            got=wanted,
            allowed=f"1 to {calibration_size} of {card.name}",
            remedy="Ask for fewer; beyond a few dozen the maps hardly change.",
            kind=ErrorKind.BASELINES,
        )


def setting_error(settings: MethodSettings, name: str, allowed: str) -> ConfigurationError:
    """That the named setting is not what is ``allowed``."""
    return ConfigurationError(
        "A setting of an attribution is out of range.",
        where=f"{settings.method} settings, {name}",
        got=getattr(settings, name),
        allowed=allowed,
        remedy=f"Set {name} to an allowed value.",
        kind=ErrorKind.ATTRIBUTION_SETTINGS,
    )


@dataclass(frozen=True, slots=True)
class Units:
    """Units of an attribution's values.

    ``nat`` is the unit of a score; positive raises it. ``sigma`` counts standard deviations.

    Attributes
    ----------
    maps : of the maps of single scales and their spread.
    combined : of the combined map.
    """

    maps: str = "nat"
    combined: str = "nat"


S = TypeVar("S", bound=MethodSettings)
A = TypeVar("A", bound=Attribution, covariant=True)


def _accept(settings: MethodSettings, card: ModelCard, calibration_size: int) -> None:
    """Any model will do."""


def _nothing(_settings: MethodSettings, _pixels: int) -> int:
    """What is held fits into a batch."""
    return 0


def _never(_settings: MethodSettings) -> bool:
    """All passes are full ones."""
    return False


def _nat(_settings: MethodSettings) -> Units:
    """What changes of the score are in."""
    return Units()


@dataclass(frozen=True)
class AttributionMethod(Generic[S, A]):
    """One method of attribution.

    Attributes
    ----------
    settings : class of its settings, whose ``method`` is the method's name.
    needs : what it asks of a model.
    reference : where it is described.
    attribute : explains a subject. Raises QuarantineError for a spectrum that has no explanation.
    scales : of its maps under these settings, in pixels, increasing.
    passes : forward passes that one explanation of so many pixels stands for, without masks and short cuts; a
        gradient counts as :data:`GRADIENT_PASSES`.
    held : numbers in double precision that it holds at once for a spectrum of so many pixels, beside its
        batches; at most.
    units : of its maps under these settings.
    refuse : raises ConfigurationError for settings that do not suit a model, before any work: by its card and
        the number of its calibration spectra.
    by_seams : whether a local model explains by seams under these settings, so that ``passes`` tells its work
        against that of other settings, but not against that of other methods.
    scale_meaning : what the scale of a map is, for people who open a store.
    baseline_name : what a figure calls the baseline of an attribution.
    """

    settings: type[S]
    needs: frozenset[Need]
    reference: str
    attribute: Callable[[Subject, S], A]
    scales: Callable[[S], tuple[int, ...]]
    passes: Callable[[S, int], int]
    held: Callable[[S, int], int] = _nothing
    units: Callable[[S], Units] = _nat
    refuse: Callable[[S, ModelCard, int], None] = _accept
    by_seams: Callable[[S], bool] = _never
    scale_meaning: str = "scale of each map: how many pixels one of its values speaks for"
    baseline_name: str = "mean baseline"

    @property
    def name(self) -> str:
        """The method's name."""
        return self.settings.method
