"""The conformance checks of model plugins."""

import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import torch
from pydantic import ValidationError
from torch import nn
from torch.optim import Optimizer

from sattrans.model import Model, ModelOptions, Pairing, TrainDefaults
from sattrans.runs.run import load_checkpoint, save_checkpoint
from sattrans.testing.require import require, require_name
from sattrans.testing.trial import Trial, changed, parameters, require_scalar, state, trials
from sattrans.train.validation import DISTANCES

State = dict[str, torch.Tensor]
"""Parameters and buffers by name."""

TOLERANCE = 1e-5
"""The largest difference, in [-1, 1], between translations of a window in batches of different sizes."""

MOST_STEPS = 250
"""Number of steps in which the generator's weights must change; some models start with 100 steps of the critic."""


def check_model(model: type[Model], size: int = 64) -> None:
    """Check that a model class behaves as the core expects of every model, on the CPU. Takes a few seconds.

    The model is built with the smallest width that its options allow, for each source encoding that they allow.

    Args:
        model: The class to check.
        size: Side in pixels of the tiles to check it on; one of `model.sizes`.

    Raises:
        AssertionError: A check failed; the message says which.
    """
    require(issubclass(model, Model), f"{model.__name__} is not a subclass of sattrans.model.Model")
    require_name(model)
    _check_description(model)
    require(
        size in model.sizes, f"model '{model.name}' takes {model.sizes} px; pass one of them to check_model as `size`"
    )
    found = trials(model, size)
    require(found, f"model '{model.name}' takes neither source=color nor source=onehot")
    with torch.random.fork_rng(devices=[]):
        for trial in found:
            _check_building(trial)
            trained = _check_training(trial)
            _check_translating(trial, trained)
            _check_sources(trial, trained)
            _check_validating(trial, trained)
            _check_saving(trial, trained)
            _check_generator(trial, trained)
            _check_reproducible(trial)
            _check_bf16(trial)


def _check_description(model: type[Model]) -> None:
    options = model.Options
    require(issubclass(options, ModelOptions), f"{model.__name__}.Options is not a subclass of ModelOptions")
    bare = [name for name, field in options.model_fields.items() if not field.description]
    require(not bare, f"options without a description: {', '.join(bare)}")
    try:
        defaults = options()
    except ValidationError as error:
        raise AssertionError(f"{model.__name__}.Options needs a valid default for each option: {error}") from error
    try:
        options.model_validate({"no_such_option": 1})
    except ValidationError:
        pass
    else:
        raise AssertionError(f"{model.__name__}.Options accepts unknown names; keep extra='forbid'")
    try:
        restored = options.model_validate(json.loads(json.dumps(defaults.model_dump())))
    except (TypeError, ValidationError) as error:
        raise AssertionError(f"{model.__name__}.Options do not survive the run's manifest (JSON): {error}") from error
    require(restored == defaults, f"{model.__name__}.Options change in the run's manifest (JSON): {restored!r}")
    require(isinstance(model.defaults, TrainDefaults), f"{model.__name__}.defaults is not a TrainDefaults")
    require(
        model.pairing in get_args(Pairing),
        f"{model.__name__}.pairing must be one of {', '.join(get_args(Pairing))}, got {model.pairing!r}",
    )
    if model.refines:
        sides = model.crop or 1, model.stride
        require(
            model.margin is not None and not any(side % model.refines for side in sides),
            f"{model.__name__} refines × {model.refines}: it needs a margin, and its crop and stride multiples of it",
        )


def _check_building(trial: Trial) -> None:
    for size in trial.kind.sizes:
        Trial(trial.kind, size, trial.options).build()
    model = trial.build()
    require(isinstance(getattr(model, "generator", None), nn.Module), f"{trial.what} has no network `generator`")
    copy.deepcopy(model.generator)  # training averages a copy
    optimizers = model.optimizers()
    learned = changed(state(trial.bare().generator), state(model.generator))
    require(optimizers or learned, f"{trial.what} has no optimizers, and `prepare` leaves its generator as it is")
    own = {id(parameter) for parameter in model.parameters()}
    for name, optimizer in optimizers.items():
        require(
            isinstance(name, str) and isinstance(optimizer, Optimizer), f"{trial.what}: {name!r} is not an optimizer"
        )
        require(
            {id(parameter) for parameter in parameters(optimizer)} <= own,
            f"optimizer '{name}' of {trial.what} has a parameter that the model lacks and that would not be saved",
        )


def _check_training(trial: Trial) -> Model:
    """Train until the generator's weights have changed, at least three steps, and return the model.

    A model without optimisers has learned all that it can when it is prepared, and its steps change nothing.
    """
    model = trial.build()
    optimizers = model.optimizers()
    if not optimizers:
        before_step = state(model)
        trial.step(model, optimizers, trial.training_batch(0))
        touched = changed(before_step, state(model))
        require(not touched, f"{trial.what} has no optimizers, but a step changes {', '.join(touched)}")
        return model
    before = copy.deepcopy(list(model.generator.parameters()))
    for number in range(MOST_STEPS):
        trial.step(model, optimizers, trial.training_batch(number))
        moved = [not torch.equal(a, b) for a, b in zip(before, model.generator.parameters(), strict=True)]
        if number >= 2 and any(moved):
            return model
    raise AssertionError(f"{MOST_STEPS} training steps do not change a weight of {trial.what}'s generator")


def _check_translating(trial: Trial, model: Model) -> None:
    batch, before = trial.batch(100, 3), state(model)
    torch.manual_seed(1)
    random = torch.get_rng_state()
    source = model.sources_of(batch)
    images = trial.translated(model, source)
    require(
        torch.equal(random, torch.get_rng_state()), f"{trial.what}.translate uses torch's random numbers; use `noise`"
    )
    expected = (3, trial.spec.target_channels, trial.size, trial.size)
    require(tuple(images.shape) == expected, f"{trial.what}.translate returns {tuple(images.shape)}, not {expected}")
    require(images.isfinite().all(), f"{trial.what}.translate returns values that are not finite")
    low, high = float(images.min()), float(images.max())
    require(low >= -1 and high <= 1, f"{trial.what}.translate returns {low} to {high}, outside [-1, 1]")
    torch.manual_seed(2)
    again = trial.translated(model, source)
    require(torch.equal(again, images), f"{trial.what}.translate is not reproducible; disable dropout in eval mode")
    for number in range(3):
        alone = trial.translated(model, source[number : number + 1], trial.noise(1, first=number))
        difference = float((alone - images[number : number + 1]).abs().max())
        require(
            difference <= TOLERANCE,
            f"{trial.what}.translate depends on the other images of the batch: difference {difference:.2g}",
        )
    touched = changed(before, state(model))
    require(not touched, f"{trial.what}.translate changes {', '.join(touched)}")


def _check_sources(trial: Trial, model: Model) -> None:
    if not trial.kind.copies:
        return
    require(trial.kind.context is not None, f"{trial.what} copies pixels, which needs a `context` (0 will do)")
    batch = trial.batch(100, 3)
    numbers, again = (trial.sources(model, batch.source) for _ in range(2))
    expected = (3, trial.size, trial.size)
    require(tuple(numbers.shape) == expected, f"{trial.what}.sources returns {tuple(numbers.shape)}, not {expected}")
    require(not numbers.is_floating_point(), f"{trial.what}.sources returns {numbers.dtype}, not whole numbers")
    low, high, most = int(numbers.min()), int(numbers.max()), trial.spec.tiles - 1
    require(low >= -1 and high <= most, f"{trial.what}.sources names tiles {low} to {high}, outside -1 to {most}")
    require(torch.equal(numbers, again), f"{trial.what}.sources is not reproducible")


def _check_validating(trial: Trial, model: Model) -> None:
    before, random = state(model), torch.get_rng_state()
    model.eval()
    with torch.no_grad():
        losses = model.validation_losses(trial.batch(100, 3))
        again = model.validation_losses(trial.batch(100, 3))
    model.train()
    for name, value in losses.items():
        require_scalar(value, f"validation loss {name} of {trial.what}")
        require(torch.equal(value, again[name]), f"validation loss {name} of {trial.what} is not reproducible")
    touched = changed(before, state(model))
    require(not touched, f"{trial.what}.validation_losses changes {', '.join(touched)}")
    require(torch.equal(random, torch.get_rng_state()), f"{trial.what}.validation_losses uses torch's random numbers")
    monitor = trial.kind.defaults.monitor
    require(
        monitor in (*losses, *DISTANCES),
        f"{trial.what} monitors '{monitor}', but its validation losses are {', '.join(losses)}",
    )


def _check_generator(trial: Trial, model: Model) -> None:
    """Only the generator is averaged and saved as the best, so it alone must determine what `translate` returns."""
    source = model.sources_of(trial.batch(100))
    images = trial.translated(model, source)
    other = trial.build(seed=1)
    own = model.generator
    model.generator = other.generator
    swapped = trial.translated(model, source)
    model.generator = own
    require(not torch.equal(swapped, images), f"{trial.what}.translate does not use `generator`")
    other.generator.load_state_dict(own.state_dict())
    require(
        torch.equal(trial.translated(other, source), images),
        f"{trial.what}.translate uses weights outside `generator`: they would not be in the best checkpoint",
    )


def _check_saving(trial: Trial, model: Model) -> None:
    source = model.sources_of(trial.batch(100))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "last.safetensors"
        save_checkpoint(path, model.state_dict(), {})
        tensors, _ = load_checkpoint(path, torch.device("cpu"))
    loaded = trial.build(seed=1)
    loaded.load_state_dict(tensors)
    lost = changed(state(model), state(loaded))
    require(not lost, f"{trial.what} changes when it is saved and loaded: {', '.join(lost)}")
    require(
        torch.equal(trial.translated(loaded, source), trial.translated(model, source)),
        f"{trial.what} translates differently after it is saved and loaded",
    )


def _check_reproducible(trial: Trial) -> None:
    """The same seed gives the same weights, also after an interruption."""
    uninterrupted, resumed = _trained(trial), _trained(trial, interrupted=True)
    differing = changed(uninterrupted[0], resumed[0])
    require(not differing, f"two trainings of {trial.what} with the same seed differ in {', '.join(differing)}")
    differing = changed(uninterrupted[1], resumed[1])
    require(
        not differing,
        f"{trial.what}, when resumed, differs in {', '.join(differing)}; state between steps must be in a buffer",
    )


def _trained(trial: Trial, interrupted: bool = False) -> tuple[State, State]:
    """Train four steps, and return the model's state after two and after four; it may be built anew between them."""
    model = trial.build()
    optimizers = model.optimizers()
    torch.manual_seed(3)
    for number in range(2):
        trial.step(model, optimizers, trial.training_batch(number))
    halfway = state(model)
    if interrupted:
        random, saved = torch.get_rng_state(), optimizers
        model = trial.build(seed=1)
        model.load_state_dict(halfway)
        optimizers = model.optimizers()
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(saved[name].state_dict())
        torch.set_rng_state(random)
    for number in range(2, 4):
        trial.step(model, optimizers, trial.training_batch(number))
    return halfway, state(model)


def _check_bf16(trial: Trial) -> None:
    """`--precision bf16`: a step works under autocast, and its losses are finite."""
    model = trial.build()
    optimizers = model.optimizers()
    for number in range(2):
        trial.step(model, optimizers, trial.training_batch(number), bf16=True)
