"""Checkpoints: safetensors for arrays, JSON for the rest, and an order of writing that a kill cannot break."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from pipeline.models.network import AlignmentNetwork, ModelConfig
from pipeline.store import write_json

PROGRESS = "progress.json"


def save_state(folder: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer, history: list[dict]) -> None:
    """Keep the state after len(history) epochs: tensors first, then the JSON that makes them count, then drop the last."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": value for name, value in network.state_dict().items()}
    for parameter, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{parameter}.{name}": value for name, value in values.items()}
    save_file({name: value.contiguous() for name, value in tensors.items()}, _tensors(folder, len(history)))
    write_json(folder / PROGRESS, history)
    _tensors(folder, len(history) - 1).unlink(missing_ok=True)


def load_state(folder: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[dict]:
    """Put a saved state back and return its history; an empty one where nothing was saved."""
    if not (folder / PROGRESS).is_file():
        return []
    history = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    tensors = load_file(_tensors(folder, len(history)))
    network.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    state: dict[int, dict] = {}
    for name, value in tensors.items():
        kind, key, *rest = name.split(".")
        if kind == "optimizer":
            state.setdefault(int(key), {})[rest[0]] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return history


def _tensors(folder: Path, epochs: int) -> Path:
    return folder / f"epoch_{epochs:04d}.safetensors"


def save_network(network: AlignmentNetwork, shape: dict, seed: int, path: Path) -> None:
    """The finished network: `path`.safetensors, and beside it the JSON from which `load_network` builds it.

    shape: num_channels, size_px and max_frames, as `AlignmentNetwork` takes them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, path.with_suffix(".safetensors"))
    write_json(path.with_suffix(".json"), {"model": network.config.model_dump(), "seed": seed, **shape})


def load_network(path: Path, trained: bool = True) -> AlignmentNetwork:
    """Read what `save_network` wrote; with trained=False, the network as it was before training (a control)."""
    spec = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    network = new_network(ModelConfig(**spec.pop("model")), spec.pop("seed"), **spec)
    if trained:
        network.load_state_dict(load_file(path.with_suffix(".safetensors")))
    return network


def new_network(config: ModelConfig, seed: int, num_channels: int, size_px: int, max_frames: int) -> AlignmentNetwork:
    """A network with the initial weights of a seed."""
    torch.manual_seed(seed)
    return AlignmentNetwork(config, num_channels, size_px, max_frames)
