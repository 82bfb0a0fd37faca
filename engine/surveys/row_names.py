"""Row names: what people's tables call the columns that name a spectrum, of every survey."""

from __future__ import annotations

from collections.abc import Mapping

from engine.surveys.surveys import SURVEYS

NamedBy = str
"""Columns of a row whose values are a name: ``target_id``, ``key``, or several with a hyphen between."""

Name = int | str | tuple[int, ...]
"""A name: an identifier as rows hold it, a key, or the whole numbers of a joint name."""

IDENTIFIER, KEY = "target_id", "key"
_KEYS = (KEY, "spectrum_key")
_IDENTIFIER = "identifier"  # the column of a text file without a header


def columns_of(named_by: NamedBy) -> tuple[str, ...]:
    """The columns of a row whose values are the name."""
    return tuple(named_by.split("-"))


def identifier_names() -> tuple[str, ...]:
    """What tables call identifiers, in lower case; the first that a table has counts."""
    return (*(name for survey in SURVEYS for name in survey.identifier_names), _IDENTIFIER)


def joint_names() -> dict[NamedBy, Mapping[str, tuple[str, ...]]]:
    """Names of several whole numbers, each with what tables call its columns."""
    return {"-".join(survey.joint_name): survey.joint_name for survey in SURVEYS if survey.joint_name}


def usual_names() -> tuple[str, ...]:
    """Names of single columns that are looked for, in this order; then the columns of joint names."""
    joint = (name for by in joint_names() for name in (by, by.replace("-", "_")))
    return (*identifier_names(), *_KEYS, *joint)


def every_usual_name() -> tuple[str, ...]:
    """Names of all columns that are looked for."""
    joint = (name for columns in joint_names().values() for names in columns.values() for name in names)
    return (*usual_names(), *joint)


def shown_name(name: Name) -> str:
    """A name for people."""
    return "-".join(map(str, name)) if isinstance(name, tuple) else str(name)


def usual_names_for_people() -> str:
    """Names of all columns that are looked for, in one line."""
    return "; ".join([", ".join(usual_names()), *(", ".join(columns) for columns in joint_names().values())])
