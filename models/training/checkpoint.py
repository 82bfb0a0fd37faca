"""Checkpoints of a training: all that the next epoch depends on, in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from models.atomic_files import write_durably
from models.digests import digest_of
from models.model_card import ModelCard

NAME = "checkpoint.safetensors"


@dataclass
class Progress:
    """State of a training after ``epoch`` epochs.

    ``best`` is the lowest validation loss so far, ``best_state`` the weights that reached it,
    ``waited`` the epochs since.
    """

    epoch: int
    best: float
    waited: int
    best_state: dict[str, Tensor]


def identity(card: ModelCard) -> str:
    """Hex digest of a training's card: a training uses no checkpoint of another one."""
    return digest_of(json.dumps(card.to_dict(), sort_keys=True).encode())


def write_checkpoint(
    directory: Path, name: str, progress: Progress, model: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    """Write the state after an epoch, replacing the last one in one step; ``name`` is the identity."""
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"best.{key}": value for key, value in progress.best_state.items()}
    state = optimiser.state_dict()
    for index, moments in state["state"].items():
        tensors |= {f"optimiser.{index}.{key}": torch.as_tensor(value) for key, value in moments.items()}
    group = state["param_groups"][0]
    facts = {
        "identity": name,
        "epoch": progress.epoch,
        "best": progress.best.hex(),
        "waited": progress.waited,
        "learning_rate": float(group["lr"]).hex(),
        "betas": [float(beta).hex() for beta in group["betas"]],
    }
    content = save_tensors({k: v.detach().clone() for k, v in tensors.items()}, {"state": json.dumps(facts)})
    directory.mkdir(parents=True, exist_ok=True)
    write_durably(directory / NAME, content)


def read_checkpoint(
    directory: Path, name: str, model: nn.Module, optimiser: torch.optim.Optimizer
) -> Progress | None:
    """Put model and optimiser where the checkpoint left them; None if there is none of this identity."""
    try:
        with safe_open(directory / NAME, framework="pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {}).get("state", "{}"))
            if facts.get("identity") != name:
                return None
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (FileNotFoundError, SafetensorError):
        return None
    model.load_state_dict(_below(tensors, "model."))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in _below(tensors, "optimiser.").items():
        index, entry = key.split(".", 1)
        moments.setdefault(int(index), {})[entry] = value
    state = optimiser.state_dict()
    state["state"] = moments
    state["param_groups"][0]["lr"] = float.fromhex(facts["learning_rate"])
    state["param_groups"][0]["betas"] = tuple(float.fromhex(beta) for beta in facts["betas"])
    optimiser.load_state_dict(state)
    best = float.fromhex(facts["best"])
    return Progress(int(facts["epoch"]), best, int(facts["waited"]), _below(tensors, "best."))


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
