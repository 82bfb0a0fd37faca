"""Choice of a method of attribution: its name and settings as people give them, and the settings these are.

Commands, runs and Python choose by the same function. Settings are texts, as on the command line, or values.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_type_hints

from engine.attribution.attribution import Attribution
from engine.attribution.method import AttributionMethod, MethodSettings
from engine.attribution.methods import DEFAULT_METHOD, METHODS
from engine.attribution.occlusion.settings import PRESETS, PresetName
from engine.attribution.setting_kinds import parsed, said
from models.errors import ConfigurationError, ErrorKind

_NOTHING: Mapping[str, object] = MappingProxyType({})


def method_named(name: str) -> AttributionMethod[Any, Attribution]:
    """The method of that name.

    Raises
    ------
    ConfigurationError : there is none.
    """
    if name not in METHODS:
        raise ConfigurationError(
            "There is no method of attribution of that name.",
            where="method of attribution",
            got=name,
            allowed=", ".join(METHODS),
            remedy="Choose one of these; whyspec methods says what each needs and takes.",
            kind=ErrorKind.OPTION,
        )
    return METHODS[name]


def chosen_settings(
    method: str | None = None,
    settings: Mapping[str, object] | None = None,
    *,
    preset: PresetName | None = None,
    options: Mapping[str, object] = _NOTHING,
    before: MethodSettings | None = None,
) -> MethodSettings:
    """The settings of the method that is chosen; what is left out is as before, else the method's default.

    Parameters
    ----------
    method : name; None for that of ``before``, else the default method.
    settings : by name, each a text or a value of the setting's type.
    preset, options : of the default method, which has options of its own on the command line; an option of
        None is not given. Options win over the preset.
    before : settings that a store has. Those of another method do not count.

    Raises
    ------
    ConfigurationError : there is no such method or setting, a value is not allowed, options are given for
        another method, or an option and a setting say the same.
    """
    chosen = method_named(method if method is not None else before.method if before else DEFAULT_METHOD)
    given = {name: value for name, value in options.items() if value is not None}
    said_by_name = settings or {}
    _refuse_options(chosen, [*(["preset"] if preset else []), *given], said_by_name)
    kept = before.to_dict() if before is not None and before.method == chosen.name else {}
    read = {name: _value(chosen.settings, name, value) for name, value in said_by_name.items()}
    found: MethodSettings = chosen.settings.from_dict(
        {**kept, **(PRESETS[preset] if preset else {}), **given, **read}
    )
    return found


def _value(settings: type[MethodSettings], name: str, given: object) -> object:
    """The value that a text says; other values, and those of unknown names, are left for ``from_dict``."""
    if not isinstance(given, str) or name not in settings.names():
        return given
    kind = get_type_hints(settings)[name]
    try:
        return parsed(kind, given.strip())
    except ValueError as error:
        raise ConfigurationError(
            "The value of a setting was not understood.",
            where=f"{settings.method} settings, {name}",
            got=given,
            allowed=said(kind),
            remedy=f"Write {name}=VALUE with such a value, or leave it out.",
            kind=ErrorKind.ATTRIBUTION_SETTINGS,
        ) from error


def _refuse_options(
    chosen: AttributionMethod[Any, Attribution], options: list[str], settings: Mapping[str, object]
) -> None:
    """Refuse options of the default method with another one, and what is said twice."""
    flags = {name: f"--{name.replace('_', '-')}" for name in options}
    if options and chosen.name != DEFAULT_METHOD:
        raise ConfigurationError(
            f"Options of {DEFAULT_METHOD} are given with another method.",
            where=", ".join(flags.values()),
            got=f"method {chosen.name}",
            allowed=f"with {chosen.name}: {chosen.settings.defaults()}",
            remedy="Leave these options out. Settings of the method are given by --setting NAME=VALUE.",
            kind=ErrorKind.OPTION,
        )
    if twice := [name for name in options if name in settings]:
        raise ConfigurationError(
            "A setting is given twice.",
            where=", ".join(flags[name] for name in twice),
            got=", ".join(f"--setting {name}={settings[name]}" for name in twice),
            allowed="each setting once",
            remedy="Leave one of the two out.",
            kind=ErrorKind.OPTION,
        )
