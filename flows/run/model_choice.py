"""Choice of the models that a run scores with, and of what each of them scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from engine.store.routing import ModelReference, assigned
from engine.store.store import Store
from flows.run.request import RunRequest
from models.errors import ConfigurationError, ErrorKind
from models.grid import WavelengthGrid
from models.model_files import ModelFiles, pretrained_for, pretrained_names, read_model


@dataclass(frozen=True)
class ChosenModels:
    """The models of a run, in the order of its configuration.

    Attributes
    ----------
    locations : name or absolute directory of each, for workers.
    models : their files, checked.
    references : as the configuration names them.
    """

    locations: tuple[str, ...]
    models: tuple[ModelFiles, ...]
    references: tuple[ModelReference, ...]


def choose_models(request: RunRequest, store: Store | None, grid: WavelengthGrid) -> ChosenModels:
    """The models that were asked for, else those of the store, else all that ship for the release's grid.

    A model that was moved is still the same model: the store's name of it stays.

    Raises
    ------
    InputError : there is no such model.
    ConfigurationError : a model is for another grid, two are for the same class, or one that was named has
        nothing to score.
    """
    asked = tuple(map(model_location, request.models or ()))
    found = {name: read_model(name) for name in asked or _usual(store, grid)}
    for model in found.values():
        _check_grid(grid, model)
    by_digest = {model.card.digest: name for name, model in found.items()}
    old = store.configuration.models if store is not None else ()
    if request.classes is None and set(by_digest) == {each.digest for each in old}:
        references = old
    else:
        references = assigned([(name, model.card) for name, model in found.items()], request.classes)
        idle = set(asked) - {each.name for each in references}
        if idle:
            raise _idle(min(idle), request)
        order = {each.digest: number for number, each in enumerate(old)}
        known = {each.digest: each.name for each in old}
        references = tuple(
            replace(each, name=known.get(each.digest, each.name))
            for each in sorted(references, key=lambda each: order.get(each.digest, len(old)))
        )
    locations = tuple(by_digest[each.digest] for each in references)
    return ChosenModels(locations, tuple(found[name] for name in locations), references)


def model_location(name: str) -> str:
    """A shipped model's name as it is, a directory's absolute path: what workers anywhere understand."""
    return name if name in pretrained_names() else str(Path(name).resolve())


def store_models(store: Store, models: tuple[str, ...]) -> tuple[str, ...]:
    """Where workers find the store's models, in its order: as given, else where the store says.

    Raises
    ------
    InputError : there is no such model.
    ConfigurationError : one is given that the store was not made with.
    """
    known = store.configuration.models
    given = {read_model(name).card.digest: model_location(name) for name in models}
    for digest in given.keys() - {each.digest for each in known}:
        raise ConfigurationError(
            "The store was not made with this model.",
            where=f"--model {given[digest]}",
            got=digest,
            allowed="; ".join(map(str, known)),
            remedy="Name the directories in which the store's models are now.",
            kind=ErrorKind.MODEL_DIGEST,
        )
    return tuple(given.get(each.digest, each.name) for each in known)


def _usual(store: Store | None, grid: WavelengthGrid) -> tuple[str, ...]:
    if store is not None and store.configuration.grid == grid:
        return tuple(each.name for each in store.configuration.models)
    return pretrained_for(grid.name)


def _check_grid(grid: WavelengthGrid, model: ModelFiles) -> None:
    if grid == model.card.grid:
        return
    fitting = [name for name in pretrained_names() if read_model(name).card.grid == grid]
    raise ConfigurationError(
        "The model is for another instrument than the release's spectra.",
        where=f"model {model.card.name}",
        got=f"model on the {_described(model.card.grid)}, release on the {_described(grid)}",
        allowed=", ".join(fitting) or "a model trained on such spectra",
        remedy="Leave --model out, name a fitting one, or train one with `whyspec train`.",
        kind=ErrorKind.GRID_MISMATCH,
    )


def _described(grid: WavelengthGrid) -> str:
    wavelength = grid.wavelength()
    ends = f"{wavelength[0]:.0f} to {wavelength[-1]:.0f} Angstrom"
    return f"{grid.name} grid ({grid.size} pixels, {ends}, {grid.spacing})"


def _idle(name: str, request: RunRequest) -> ConfigurationError:
    return ConfigurationError(
        "A model of the run has nothing to score.",
        where=f"--model {name}",
        got=f"--classes {','.join(request.classes or ())}, none of which is left for it",
        allowed="models that are for one of the classes",
        remedy="Leave the model out, or add its classes to --classes.",
        kind=ErrorKind.IDLE_MODEL,
    )
