"""Checkpoints of a run: `last` holds all that resuming needs, `best` the generator with the lowest monitored loss."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sattrans.model import Model
from sattrans.runs.run import Run, load_checkpoint, save_checkpoint, under


def save_last(
    run: Run,
    model: Model,
    average: nn.Module,
    optimizers: Mapping[str, Optimizer],
    device: torch.device,
    state: Mapping[str, Any],
) -> None:
    """Write weights, moving average, optimisers, random states and `state` to one file."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    tensors["rng.cpu"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state(device)
    plain: dict[str, Any] = {}
    for name, optimizer in optimizers.items():
        plain[name] = {}
        for number, values in optimizer.state_dict()["state"].items():
            for key, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{name}.{number}.{key}"] = value
                else:
                    plain[name][f"{number}.{key}"] = value
    save_checkpoint(run.checkpoint("last"), tensors, {**state, "optimizers": plain})


def load_last(
    run: Run, model: Model, average: nn.Module, optimizers: Mapping[str, Optimizer], device: torch.device
) -> dict[str, Any]:
    """Load what `save_last` wrote into the objects, and return its `state`."""
    tensors, state = load_checkpoint(run.checkpoint("last"), device)
    model.load_state_dict(under("model", tensors))
    average.load_state_dict(under("average", tensors))
    plain = state.pop("optimizers")
    for name, optimizer in optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        entries = {**under(f"optimizer.{name}", tensors), **plain[name]}
        states: dict[int, dict[str, Any]] = {}
        for key, value in entries.items():
            number, _, item = key.partition(".")
            states.setdefault(int(number), {})[item] = _in_layout_of(value, parameters[int(number)])
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["rng.cpu"].cpu())
    if "rng.cuda" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"].cpu(), device)
    return state


def _in_layout_of(value: Any, parameter: Tensor) -> Any:
    """Return an optimiser's state of a parameter in the parameter's memory layout.

    A file holds every tensor row by row. A fused optimiser reads weights and their state in memory order, and would
    mix up the values of a channels-last weight.
    """
    if isinstance(value, Tensor) and value.shape == parameter.shape:
        return torch.empty_like(parameter).copy_(value)
    return value


def save_best(run: Run, generator: nn.Module, state: Mapping[str, Any]) -> None:
    """Write the best generator."""
    tensors = {f"generator.{name}": tensor for name, tensor in generator.state_dict().items()}
    save_checkpoint(run.checkpoint("best"), tensors, state)
