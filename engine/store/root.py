"""Root of a store: its configuration, in attributes that any Zarr reader shows."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine.store.configuration import RunConfiguration
from engine.store.objects import ObjectTree
from engine.store.schema import SCHEMA_VERSION, check_sizes
from models.digests import canonical_json, digest_of
from models.errors import ConfigurationError, ErrorKind, InputError, StoreError
from models.json_text import read_json


def is_store(objects: ObjectTree) -> bool:
    """Whether there is a store, of whatever schema version, damaged or not.

    A store whose root document is lost or damaged still has its plans.
    """
    try:
        _attributes(objects)
    except (FileNotFoundError, ValueError):
        return bool(objects.sizes("ledger/plans"))
    return True


def root_attributes(configuration: RunConfiguration) -> dict[str, object]:
    """Attributes of a new store; no dates, so that the same run makes the same store."""
    units = {"linear": "Angstrom", "log10": "log10(Angstrom)"}[configuration.grid.spacing]
    return {
        "title": "Scores and explanations of a spectroscopic release",
        "schema": "whyspec",
        "schema_version": SCHEMA_VERSION,
        "created_by": f"whyspec {code_version()}",
        "code_version": code_version(),
        "grid": {**configuration.grid.to_dict(), "units": units, "medium": "vacuum"},
        "models": [model.to_dict() for model in configuration.models],
        "configuration": configuration.to_dict(),
        "configuration_digest": configuration.digest,
    }


def read_configuration(objects: ObjectTree) -> RunConfiguration:
    """The configuration in a store's root attributes, after its schema version was checked.

    Raises
    ------
    InputError : there is no store.
    StoreError : its schema has another version, or its root is damaged.
    """
    try:
        attributes = _attributes(objects)
    except (FileNotFoundError, ValueError) as error:
        if is_store(objects):
            got = "there is no such object" if isinstance(error, FileNotFoundError) else error
            raise _damaged(objects, got) from error
        raise InputError(
            "There is no whyspec store at this place.",
            where=objects.url,
            got="nothing there" if isinstance(error, FileNotFoundError) else "something else",
            allowed="a store that 'whyspec run' made",
            remedy="Check the path or URL; 'whyspec run' makes a store.",
            kind=ErrorKind.NOT_A_STORE,
        ) from error
    if attributes.get("schema_version") != SCHEMA_VERSION:
        raise StoreError(
            "The store's schema has a version that this whyspec does not read.",
            where=f"{objects.url}/zarr.json",
            got=f"schema version {attributes.get('schema_version')}, {attributes.get('created_by')}",
            allowed=f"schema version {SCHEMA_VERSION}",
            remedy="Use the version of whyspec that made it, or run again into another --store.",
            kind=ErrorKind.SCHEMA_VERSION,
        )
    try:
        return _configuration(attributes)
    except (AssertionError, AttributeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise _damaged(objects, f"{type(error).__name__}: {error}") from error
    except ConfigurationError as error:
        raise _damaged(objects, f"{error.what} {error.got}") from error


def _attributes(objects: ObjectTree) -> dict[str, Any]:
    """Attributes of the root of a store.

    Raises
    ------
    FileNotFoundError : there is no root document.
    ValueError : it is not that of a store.
    """
    document = read_json(objects.get("zarr.json"))
    attributes = document.get("attributes") if isinstance(document, dict) else None
    if not isinstance(attributes, dict) or attributes.get("schema") != "whyspec":
        raise ValueError("not the root document of a store")
    return attributes


def _configuration(attributes: dict[str, Any]) -> RunConfiguration:
    """The configuration in the attributes; raises what is raised for wrong ones."""
    description = attributes["configuration"]
    configuration = RunConfiguration.from_dict(description)
    names = configuration.reconstruction_scores
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"reconstruction scores {names}")
    check_sizes(configuration)
    if digest_of(canonical_json(description)) != attributes["configuration_digest"]:
        raise ValueError("the configuration's digest does not match its content")
    return configuration


def _damaged(objects: ObjectTree, got: object) -> StoreError:
    return StoreError(
        "The store's root attributes do not describe its configuration.",
        where=f"{objects.url}/zarr.json",
        got=got,
        allowed="the attributes that whyspec wrote",
        remedy="Restore zarr.json from a copy of the store.",
        kind=ErrorKind.ROOT_DAMAGED,
    )


def code_version() -> str:
    """The version of whyspec that runs."""
    try:
        return version("whyspec")
    except PackageNotFoundError:
        return "unknown"
