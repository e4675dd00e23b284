"""Checkpoints of a run: `last` holds all that resuming needs, `best` the generator with the lowest monitored loss."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sattrans.errors import SattransError, UsageError
from sattrans.model import Model
from sattrans.runs.run import Run, load_checkpoint, save_checkpoint, under
from sattrans.runs.schemas import LoopState
from sattrans.runs.tensors import check_fit, load_into
from sattrans.utils.records import checked


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
    path = run.checkpoint("last")
    tensors, state = load_checkpoint(path, device)
    try:
        checked(LoopState, state)
        load_into(model, under("model", tensors))
        load_into(average, under("average", tensors))
        _load_optimizers(optimizers, tensors, state.pop("optimizers"))
        check_fit({"rng.cpu": torch.get_rng_state()}, {"rng.cpu": tensors.get("rng.cpu", torch.empty(0))})
    except ValueError as error:
        raise SattransError(f"{path} is damaged ({error}): train again") from error
    torch.set_rng_state(tensors["rng.cpu"].cpu())
    if "rng.cuda" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"].cpu(), device)
    return state


def _load_optimizers(
    optimizers: Mapping[str, Optimizer], tensors: Mapping[str, Tensor], plain: Mapping[str, Mapping[str, Any]]
) -> None:
    """Load the states of the optimisers. Raises `ValueError` for one that does not fit."""
    for name, optimizer in optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        entries = {**under(f"optimizer.{name}", tensors), **plain.get(name, {})}
        states: dict[int, dict[str, Any]] = {}
        for key, value in entries.items():
            number, _, item = key.partition(".")
            if not number.isdecimal() or int(number) >= len(parameters):
                raise ValueError(f"optimizer.{name}.{key} belongs to no parameter")
            parameter = parameters[int(number)]
            if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                raise ValueError(f"tensor optimizer.{name}.{key} has another shape than its parameter")
            states.setdefault(int(number), {})[item] = _in_layout_of(value, parameter)
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


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


def load_initial_weights(model: Model, folder: Path, device: torch.device) -> None:
    """Load another run's last weights into a model. Raises `UsageError` if they do not fit."""
    tensors, _ = load_checkpoint(Run.open(folder).checkpoint("last"), device)
    try:
        load_into(model, under("model", tensors))
    except ValueError as error:
        raise UsageError(
            f"--init {folder}: its weights do not fit this model, tileset and options ({error}): "
            "use those it was trained with (sattrans runs show)"
        ) from error
