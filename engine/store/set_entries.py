"""Entries of sets of explanations: looked up by name, and compared with what is asked for, without Zarr."""

from __future__ import annotations

from engine.attribution.method import MethodSettings
from engine.attribution.setting_kinds import written
from engine.store.configuration import RunConfiguration
from engine.store.entries import RUN_SET, ExplanationSetEntry, is_set_name
from engine.store.ledger import Ledger
from models.errors import ConfigurationError, ErrorKind, InputError

FOLDER = "explanations"
"""Folder of the sets in a store."""


def set_folder(name: str) -> str:
    """Folder of the set of that name."""
    return f"{FOLDER}/{name}"


def read_entry(ledger: Ledger, name: str) -> ExplanationSetEntry:
    """The entry of the set of that name beside the run's own.

    Raises
    ------
    InputError : there is none.
    StoreError : it is damaged.
    """
    entry = ledger.explanation_set(name) if is_set_name(name) else None
    if entry is None:
        raise InputError(
            "The store has no explanations of that name.",
            where=ledger.url,
            got=name,
            allowed=", ".join([RUN_SET, *ledger.explanation_sets()]),
            remedy="Choose one of these. To make others: "
            f"'whyspec attribute {ledger.url} --method METHOD --name NAME'.",
            kind=ErrorKind.NO_EXPLANATIONS,
        )
    return entry


def check_name(name: str) -> None:
    """Refuse a name that no set beside the run's own may have.

    Raises
    ------
    ConfigurationError : it is one.
    """
    if not is_set_name(name):
        raise ConfigurationError(
            "A set of explanations cannot have that name.",
            where="--name",
            got=name,
            allowed="lower-case letters, digits, - and _; at most 64, the first a letter or digit; not "
            f"{RUN_SET}, which is that of the run's own",
            remedy="Choose another name, e.g. that of the method.",
            kind=ErrorKind.EXPLANATIONS_NAME,
        )


def check_settings(name: str, asked: MethodSettings, there: MethodSettings) -> None:
    """Refuse other settings than those that the set of that name was made with.

    Raises
    ------
    ConfigurationError : they are others.
    """
    if asked != there:
        raise ConfigurationError(
            "The store has explanations of that name by another method or with other settings.",
            where=f"explanations {name}",
            got=_differing(asked, there),
            allowed=_differing(there, asked),
            remedy="Choose another --name for these settings, or leave them out to continue that set.",
            kind=ErrorKind.OTHER_EXPLANATIONS,
        )


def check_other_than_run(store: RunConfiguration, asked: MethodSettings) -> None:
    """Refuse to explain once more as the store's runs do.

    Raises
    ------
    ConfigurationError : method and settings are the run's.
    """
    if asked == store.attribution:
        raise ConfigurationError(
            "The store's own explanations are made by this method with these settings.",
            where="--method",
            got=f"{asked.method}: {asked}",
            allowed="another method, or other settings",
            remedy=f"Ask for them by --explanation {RUN_SET}. 'whyspec run' explains outliers that wait.",
            kind=ErrorKind.OTHER_EXPLANATIONS,
        )


def _differing(one: MethodSettings, other: MethodSettings) -> str:
    """What one has otherwise than the other, for people."""
    if one.method != other.method:
        return f"{one.method}: {one}"
    there = other.to_dict()
    return ", ".join(
        f"{name}={written(value)}" for name, value in one.to_dict().items() if value != there[name]
    )
