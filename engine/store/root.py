"""Root of a store: its configuration, in attributes that any Zarr reader shows."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version

from engine.store.configuration import RunConfiguration
from engine.store.objects import ObjectTree
from engine.store.schema import SCHEMA_VERSION
from models.errors import ConfigurationError, ErrorKind, InputError, StoreError


def is_store(objects: ObjectTree) -> bool:
    """Whether there is a store, of whatever schema version."""
    try:
        return bool(json.loads(objects.get("zarr.json"))["attributes"]["schema"] == "whyspec")
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


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
        attributes = json.loads(objects.get("zarr.json"))["attributes"]
        if attributes["schema"] != "whyspec":
            raise KeyError("schema")
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
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
            where=objects.url,
            got=f"schema version {attributes.get('schema_version')}, {attributes.get('created_by')}",
            allowed=f"schema version {SCHEMA_VERSION}",
            remedy="Use the version of whyspec that made it, or run again into another --store.",
            kind=ErrorKind.SCHEMA_VERSION,
        )
    try:
        return RunConfiguration.from_dict(attributes["configuration"])
    except (KeyError, TypeError, ValueError, AssertionError, ConfigurationError) as error:
        raise StoreError(
            "The store's root attributes do not describe its configuration.",
            where=f"{objects.url}/zarr.json",
            got=f"{type(error).__name__}: {error}",
            allowed="the attributes that whyspec wrote",
            remedy="Restore zarr.json from a copy of the store.",
            kind=ErrorKind.ROOT_DAMAGED,
        ) from error


def code_version() -> str:
    """The version of whyspec that runs."""
    try:
        return version("whyspec")
    except PackageNotFoundError:
        return "unknown"
