"""How options are written on the command line and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import ConfigurationError, ErrorKind

if TYPE_CHECKING:
    from pathlib import Path

    from engine.attribution.occlusion.settings import PresetName


_LONGEST_CLASS = 16
"""Characters of a class in a store."""


def identifier(text: str) -> int:
    """An identifier of 64 bits, every digit of it: it never passes through a floating-point number.

    Raises
    ------
    ConfigurationError : no integer.
    """
    try:
        return int(text)
    except ValueError:
        raise _not_understood("--target-id", text, "an integer, as the survey's catalogue has it") from None


def comma_list(text: str) -> tuple[str, ...]:
    """``"GALAXY, QSO"`` to ``("GALAXY", "QSO")``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def models(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """``("a,b", "c")`` to ("a", "b", "c"), each once; None if not given.

    Raises
    ------
    ConfigurationError : given, and empty.
    """
    for text in names:
        not_empty("--model", text)
    return tuple(dict.fromkeys(name for text in names for name in comma_list(text))) or None


def settings(texts: tuple[str, ...]) -> dict[str, str]:
    """``("samples=200", "seed=3")`` to texts by name.

    Raises
    ------
    ConfigurationError : one has no name or no ``=``, or a name is there twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not name or not sign or name in found:
            raise _not_understood("--setting", text, "NAME=VALUE, each name once, e.g. --setting samples=200")
        found[name] = value
    return found


def not_empty(option: str, text: str) -> str:
    """The text of an option that is given.

    Raises
    ------
    ConfigurationError : it says nothing, as where a shell's variable is not set.
    """
    if not comma_list(text):
        raise ConfigurationError(
            "An option is given and empty.",
            where=option,
            got=repr(text),
            remedy="Give it a value, or leave it out.",
            kind=ErrorKind.OPTION,
        )
    return text


def seconds(text: float) -> float:
    """A time to wait, infinite too.

    Raises
    ------
    ConfigurationError : negative, or no number.
    """
    if not text >= 0:
        raise ConfigurationError(
            "A time to wait is 0 or more.",
            where="--wait",
            got=text,
            allowed="seconds, or inf",
            remedy="Leave it out not to wait.",
            kind=ErrorKind.OPTION,
        )
    return text


def classes(text: str | None) -> tuple[str, ...] | None:
    """``GALAXY,QSO``; ``all`` for every class; None if not given.

    Raises
    ------
    ConfigurationError : given, and empty.
    """
    if text is None:
        return None
    not_empty("--classes", text)
    return () if text.strip().lower() == "all" else tuple(name.upper() for name in comma_list(text))


def path(given: Path | None) -> str:
    """A path as text; empty if not given."""
    return "" if given is None else str(given)


def class_name(text: str | None) -> str | None:
    """The name of one spectral class in upper case; None if not given.

    Raises
    ------
    ConfigurationError : given, and empty, or too long for a class.
    """
    if text is None:
        return None
    name = not_empty("--class-of", text).strip().upper()
    if len(name) > _LONGEST_CLASS:
        raise _not_understood("--class-of", text, f"the name of a class, at most {_LONGEST_CLASS} characters")
    return name


def explained(score_only: bool, top: int | None) -> int | None:
    """How many of the oddest outliers are explained; None for all.

    Raises
    ------
    ConfigurationError : both options are given, or no positive number.
    """
    if top is not None:
        at_least("--explain-top", top, 1)
    if score_only and top is not None:
        raise ConfigurationError(
            "Two options say how many outliers are explained.",
            where="--score-only, --explain-top",
            got=f"none, and {top}",
            allowed="one of them",
            remedy="Leave one of them out.",
            kind=ErrorKind.OPTION,
        )
    return 0 if score_only else top


def windows(text: str | None) -> tuple[int, ...] | None:
    """``1,4,16`` to (1, 4, 16); None if not given.

    Raises
    ------
    ConfigurationError : not integers.
    """
    return None if text is None else _integers("--windows", text, "widths in pixels, e.g. 1,4,16,64")


def offsets(text: str | None) -> tuple[int, ...] | None:
    """``0,2,10`` to (0, 2, 10); None if not given.

    Raises
    ------
    ConfigurationError : not integers.
    """
    return None if text is None else _integers("--offsets", text, "pixels, e.g. 0,2,10")


_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def memory(text: str | None) -> dict[str, int]:
    """``256MB`` to the setting it overrides, {"attribution_memory": bytes}; empty if not given.

    Raises
    ------
    ConfigurationError : no number of bytes.
    """
    return {} if text is None else {"attribution_memory": number_of_bytes("--memory", text)}


def number_of_bytes(option: str, text: str) -> int:
    """``256MB`` to 256,000,000.

    Raises
    ------
    ConfigurationError : no number of bytes; the text names ``option``.
    """
    number = text.strip().rstrip("BKMGIbkmgi ")
    unit = text.strip()[len(number) :].strip().upper()
    try:
        bytes_ = int(float(number) * _UNITS["" if unit == "B" else unit])
    except (ValueError, KeyError, OverflowError):
        bytes_ = 0
    if bytes_ < 1:
        raise _not_understood(option, text, "a number of bytes, e.g. 512MB or 2GiB")
    return bytes_


def shares(**options: float) -> None:
    """Refuse shares that are not above 0, or leave nothing for what has none.

    Raises
    ------
    ConfigurationError : they are such.
    """
    names = " + ".join(f"--{name}" for name in options)
    if min(options.values()) <= 0 or sum(options.values()) >= 1:
        got = " + ".join(str(value) for value in options.values())
        raise _not_understood(names, got, "each above 0, together below 1")


def given(**options: int | None) -> dict[str, int]:
    """The settings that options override: those that were given."""
    return {name: value for name, value in options.items() if value is not None}


def numbers(option: str, text: str) -> tuple[int, ...]:
    """``8,32`` to (8, 32).

    Raises
    ------
    ConfigurationError : not integers; the text names ``option``.
    """
    return _integers(option, text, "integers, e.g. 8,32")


def decimals(option: str, text: str) -> tuple[float, ...]:
    """``3,5.5`` to (3.0, 5.5).

    Raises
    ------
    ConfigurationError : not numbers; the text names ``option``.
    """
    try:
        return tuple(float(part) for part in comma_list(text))
    except ValueError:
        raise _not_understood(option, text, "numbers, e.g. 3,5.5") from None


def presets(text: str) -> tuple[PresetName, ...]:
    """``paper,reference-code`` to the names of occlusion presets.

    Raises
    ------
    ConfigurationError : there is no such preset.
    """
    known: dict[str, PresetName] = {
        "paper": "paper",
        "reference-code": "reference-code",
        "nearest": "nearest",
    }
    names = comma_list(text)
    if not set(names) <= set(known):
        raise _not_understood("--presets", text, ", ".join(known))
    return tuple(known[name] for name in names)


def agree(option: str, value: str | None, wanted: str) -> None:
    """Refuse a value that contradicts what another option of the same meaning says.

    Raises
    ------
    ConfigurationError : it does.
    """
    if value not in (None, wanted):
        raise _not_understood(option, value, f"{wanted}, with --{wanted}")


def only_with(option: str, value: object, other: str) -> None:
    """Refuse an option that is given without the other one, which it belongs to.

    Raises
    ------
    ConfigurationError : it is given.
    """
    if value is not None:
        raise ConfigurationError(
            "An option is given without the one that it belongs to.",
            where=option,
            got=f"{option} without {other}",
            allowed=f"{option} with {other}",
            remedy=f"Add {other}, or leave {option} out.",
            kind=ErrorKind.OPTION,
        )


def at_least(option: str, value: int, least: int) -> None:
    """Refuse a number that is too small.

    Raises
    ------
    ConfigurationError : it is.
    """
    if value < least:
        raise _not_understood(option, value, f"{least} or more")


def between(option: str, value: float, least: float, most: float) -> None:
    """Refuse a number out of its range, both ends of which belong to it.

    Raises
    ------
    ConfigurationError : it is.
    """
    if not least <= value <= most:
        raise _not_understood(option, value, f"{least:g} to {most:g}")


def _integers(option: str, text: str, allowed: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in comma_list(text))
    except ValueError:
        raise _not_understood(option, text, allowed) from None


def _not_understood(option: str, got: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        "An option's value was not understood.",
        where=option,
        got=got,
        allowed=allowed,
        remedy="Write it in the form that is allowed.",
        kind=ErrorKind.OPTION,
    )
