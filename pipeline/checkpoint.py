"""Checkpoints: safetensors for arrays, JSON for the rest, and an order of writing that a kill cannot break."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from pipeline.config import InputError
from pipeline.models.config import BranchSpec, ModelConfig
from pipeline.models.network import AlignmentNetwork
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


def save_network(network: AlignmentNetwork, seed: int, path: Path) -> None:
    """The finished network: `path`.safetensors, and beside it the JSON from which `load_network` builds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, path.with_suffix(".safetensors"))
    branches = {
        name: {"model": spec.config.model_dump(mode="json"), "shape": list(spec.shape), "limbs": list(spec.limbs)}
        for name, spec in network.specs.items()
    }
    write_json(path.with_suffix(".json"), {"branches": branches, "max_frames": network.max_frames, "seed": seed})


def architecture(path: Path) -> str:
    """What two networks share that are the same before training and embed alike, but for chance: all but the head."""
    found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    for branch in found["branches"].values():
        branch["model"] = ModelConfig(**branch["model"]).model_dump(mode="json", exclude={"projection_head"})
    return json.dumps([found["branches"], found["max_frames"]], sort_keys=True)


def load_network(path: Path, trained: bool = True) -> AlignmentNetwork:
    """Read what `save_network` wrote; with trained=False, the network as it was before any training (a control)."""
    found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    specs = {
        name: BranchSpec(
            ModelConfig(**branch["model"]), tuple(branch["shape"]), tuple(map(tuple, branch.get("limbs", ())))
        )
        for name, branch in found["branches"].items()
    }
    network = new_network(specs, found["max_frames"], found["seed"], load=not trained)
    if trained:
        try:
            network.load_state_dict(load_file(path.with_suffix(".safetensors")))
        except RuntimeError as error:
            raise InputError(
                f"Expected weights that fit the network, but those at {path.with_suffix('.safetensors')} are of another"
                f" version ({str(error).split(':')[0]}). Run train again."
            ) from None
    return network


def new_network(specs: Mapping[str, BranchSpec], max_frames: int, seed: int, load: bool = True) -> AlignmentNetwork:
    """A network with the initial weights of a seed; load as of `AlignmentNetwork`."""
    torch.manual_seed(seed)
    return AlignmentNetwork(specs, max_frames, load)


def join_networks(encoders: Mapping[str, Path], seed: int) -> AlignmentNetwork:
    """Stage two's start: the trained branches of single-modality networks, and a new fusion layer and head.

    encoders: modality -> the path that `save_network` was given.
    """
    networks = {name: load_network(path) for name, path in encoders.items()}
    specs = {name: network.specs[name] for name, network in networks.items()}
    joint = new_network(specs, max(network.max_frames for network in networks.values()), seed, load=False)
    for name, network in networks.items():
        joint.branches[name].load_state_dict(network.branches[name].state_dict())
    return joint
