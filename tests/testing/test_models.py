"""The conformance suite on every registered model, and on models that break one promise each."""

import random
from pathlib import Path
from typing import Literal

import pytest
import torch
from pydantic import ConfigDict, Field
from torch import nn
from torch.nn import functional as F
from unaligned_model import Unaligned

from sattrans.model import Model, ModelOptions, TrainDefaults, Update
from sattrans.plugins import manager, model_class
from sattrans.testing import check_model


@pytest.mark.parametrize("name", manager().names("model"))
def test_model_keeps_its_promises(name, monkeypatch):
    # A generator that waits for a hundred steps of the critic takes 10 s: tests/plugins/test_wgan.py counts them.
    monkeypatch.setattr("sattrans_wgan.model.WARMUP_CRITIC_STEPS", 5)
    check_model(model_class(name))


@pytest.mark.faults
def test_a_critic_that_goes_a_hundred_steps_ahead_keeps_them_too():
    check_model(model_class("wgan"))


class Plain(Model):
    """A 1×1 convolution under L1: all that a model needs."""

    name = "plain"
    sizes = (64,)

    class Options(ModelOptions):
        source: Literal["color"] = Field("color", description="colours")
        lr: float = Field(0.1, description="learning rate")

    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.options = options
        self.generator = nn.Sequential(nn.Conv2d(spec.source_channels, 3, 1), nn.Tanh())
        self.register_buffer("seen", torch.zeros(()))

    def optimizers(self):
        return {"generator": torch.optim.SGD(self.generator.parameters(), lr=self.options.lr)}

    def loss(self, batch):
        return F.l1_loss(self.generator(batch.source), batch.target)

    def training_step(self, batch):
        yield Update("generator", {"l1": self.loss(batch)})


class NoDescription(Plain):
    class Options(ModelOptions):
        source: Literal["color"] = Field("color", description="colours")
        lr: float = 0.1


class TakesAnyOption(Plain):
    class Options(Plain.Options):
        model_config = ConfigDict(frozen=True, extra="allow")


class NeedsAnOption(Plain):
    class Options(Plain.Options):
        weight: float = Field(description="no default")


class OptionNotForJson(Plain):
    class Options(Plain.Options):
        weights: frozenset[int] = Field(frozenset({1}), description="no JSON has sets")


class OptionOtherInJson(Plain):
    class Options(Plain.Options):
        weights: list[int] | tuple[int, ...] = Field((1,), description="a tuple, and a list once it was JSON")


class NoEncoding(Plain):
    class Options(ModelOptions):
        source: Literal["sketch"] = Field("sketch", description="none of the encodings")


class UnknownPairing(Plain):
    pairing = "unpaired"


class NoOptimizer(Plain):
    def optimizers(self):
        return {}


class YieldsALoss(Plain):
    def training_step(self, batch):
        yield self.loss(batch)


class UnknownOptimizer(Plain):
    def training_step(self, batch):
        yield Update("critic", {"l1": self.loss(batch)})


class ForeignParameter(Plain):
    def optimizers(self):
        self.hidden = [nn.Parameter(torch.zeros(1))]
        return {"generator": torch.optim.SGD([*self.generator.parameters(), *self.hidden], lr=0.1)}


class DetachedLoss(Plain):
    def training_step(self, batch):
        loss = self.loss(batch)
        yield Update("generator", {"l1": loss, "shown": loss.detach()})


class LossPerSample(Plain):
    def training_step(self, batch):
        yield Update("generator", {"l1": (self.generator(batch.source) - batch.target).abs().mean(dim=(1, 2, 3))})


class InfiniteLoss(Plain):
    def training_step(self, batch):
        yield Update("generator", {"l1": self.loss(batch) / 0})


class NoLoss(Plain):
    def training_step(self, batch):
        yield Update("generator", {})


class YieldsInsideContext(Plain):
    def training_step(self, batch):
        loss = self.loss(batch)
        with torch.no_grad():
            yield Update("generator", {"l1": loss})


class NeverMoves(Plain):
    def training_step(self, batch):
        yield Update("generator", {"l1": 0 * self.loss(batch)})


class HalfSize(Plain):
    def translate(self, source, noise):
        return self.generator(source)[:, :, ::2, ::2]


class OutOfRange(Plain):
    def translate(self, source, noise):
        return self.generator(source) + 2


class DrawsFromTorch(Plain):
    def translate(self, source, noise):
        return (self.generator(source) + 0.1 * torch.rand(())).clamp(-1, 1)


class DrawsFromPython(Plain):
    def translate(self, source, noise):
        return (self.generator(source) * random.random()).clamp(-1, 1)


class LooksAtTheBatch(Plain):
    def translate(self, source, noise):
        image = self.generator(source)
        return (image - image.mean(dim=0)).clamp(-1, 1)


class TranslateCounts(Plain):
    def translate(self, source, noise):
        self.seen += 1
        return self.generator(source)


class ValidationCounts(Plain):
    def validation_losses(self, batch):
        self.seen += 1
        return super().validation_losses(batch)


class NotANumber(Plain):
    def translate(self, source, noise):
        return (self.generator(source) - 2).log().clamp(-1, 1)


class DrawsWhenValidated(Plain):
    def validation_losses(self, batch):
        torch.rand(1)
        return super().validation_losses(batch)


class ValidatesByDice(Plain):
    def validation_losses(self, batch):
        return {"l1": torch.tensor(random.random())}


class LosesABuffer(Plain):
    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.register_buffer("brightness", torch.zeros(()), persistent=False)

    def training_step(self, batch):
        yield from super().training_step(batch)
        self.brightness += 0.01

    def translate(self, source, noise):
        return (self.generator(source) + self.brightness).clamp(-1, 1)


class NotMonitored(Plain):
    defaults = TrainDefaults(monitor="fid")


class PerSampleValidation(Plain):
    def validation_losses(self, batch):
        return {"l1": (self.generator(batch.source) - batch.target).abs().mean(dim=(1, 2, 3))}


class AnotherGenerator(Plain):
    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.copy = nn.Conv2d(3, 3, 1)

    def translate(self, source, noise):
        return self.copy(source).tanh()


class WeightsOutside(Plain):
    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.encoder = nn.Conv2d(3, 3, 1)

    def translate(self, source, noise):
        return self.generator(self.encoder(source))


class NoGenerator(Plain):
    def __init__(self, spec, options):
        super().__init__(spec, options)
        self.network = self.generator
        del self.generator


class RemembersInPython(Plain):
    steps = 0

    def training_step(self, batch):
        self.steps += 1
        yield Update("generator", {"l1": self.steps * self.loss(batch)})


class LearnsByPythonsDice(Plain):
    def training_step(self, batch):
        yield Update("generator", {"l1": random.random() * self.loss(batch)})


class NaiveLogarithm(Plain):
    def training_step(self, batch):
        sure = torch.sigmoid(self.generator(batch.source) + 8)  # 0.9997 and a little; 1 in bfloat16
        yield Update("generator", {"l1": self.loss(batch), "log": -(1 - sure).log().mean()})


class KeepsColors(Plain):
    """Learns the mean colour of each class when it is prepared, and sees the map around a window."""

    context = 8

    class Options(ModelOptions):
        source: Literal["onehot"] = Field("onehot", description="classes")

    def __init__(self, spec, options):
        Model.__init__(self, spec, options)
        self.generator = nn.Conv2d(spec.source_channels, 3, 1, bias=False).requires_grad_(False)
        nn.init.zeros_(self.generator.weight)
        self.register_buffer("seen", torch.zeros(()))

    def optimizers(self):
        return {}

    def prepare(self, tiles):
        pixels = sum(tile.source.sum((0, 2, 3)) for tile in tiles)
        colors = sum(torch.einsum("nkhw,nchw->kc", tile.source, tile.target) for tile in tiles)
        self.generator.weight.data.copy_((colors / pixels[:, None]).T[..., None, None])

    def training_step(self, batch):
        yield from ()

    def translate(self, source, noise):
        return F.avg_pool2d(self.generator(source), 2 * self.context + 1, 1)


class StepsWithoutOptimizers(KeepsColors):
    def training_step(self, batch):
        self.seen += 1
        yield from ()


class Copies(KeepsColors):
    """Names the last tile as the source of all pixels."""

    copies = True
    tile = -1

    def sources(self, source, noise):
        images = self.translate(source, noise)
        return torch.full_like(images[:, 0], self.spec.tiles + self.tile, dtype=torch.long)


class NamesAnotherTile(Copies):
    tile = 0


class NamesTilesForTheContext(Copies):
    def sources(self, source, noise):
        return source[:, 0].long()


class KeepsItsContext(KeepsColors):
    def translate(self, source, noise):
        return self.generator(source)


@pytest.mark.parametrize("model", [Plain, KeepsColors, Copies])
def test_a_good_model_passes(model):
    check_model(model)


def test_a_good_unaligned_model_passes():
    check_model(Unaligned)


@pytest.mark.parametrize(
    ("flawed", "message"),
    [
        (NoDescription, "without a description: lr"),
        (TakesAnyOption, "accepts unknown names"),
        (NeedsAnOption, "valid default for each option"),
        (OptionNotForJson, "do not survive"),
        (OptionOtherInJson, "change in the run's manifest"),
        (NoEncoding, "neither source=color nor source=onehot"),
        (UnknownPairing, "pairing must be one of aligned, unaligned, got 'unpaired'"),
        (NoOptimizer, "has no optimizers"),
        (StepsWithoutOptimizers, "has no optimizers, but a step changes seen"),
        (KeepsItsContext, r"returns \(3, 3, 80, 80\), not \(3, 3, 64, 64\)"),
        (NamesAnotherTile, "names tiles 3 to 3, outside -1 to 2"),
        (NamesTilesForTheContext, r"sources returns \(3, 80, 80\), not \(3, 64, 64\)"),
        (YieldsALoss, "must yield an Update"),
        (UnknownOptimizer, "update of 'critic'; its optimizers.. are generator"),
        (ForeignParameter, "would not be saved"),
        (DetachedLoss, "loss shown .* has no gradient"),
        (LossPerSample, "l1 .* is not a scalar"),
        (InfiniteLoss, "l1 .* is inf"),
        (NoLoss, "without losses"),
        (YieldsInsideContext, "inside a context manager"),
        (NeverMoves, "do not change a weight"),
        (HalfSize, r"returns \(3, 3, 32, 32\)"),
        (OutOfRange, "outside"),
        (DrawsFromTorch, "translate uses torch's random numbers"),
        (DrawsFromPython, "translate is not reproducible"),
        (LooksAtTheBatch, "the other images of the batch"),
        (TranslateCounts, "translate changes seen"),
        (ValidationCounts, "validation_losses changes seen"),
        (NotANumber, "not finite"),
        (DrawsWhenValidated, "validation_losses uses torch's random numbers"),
        (ValidatesByDice, "validation loss l1 .* is not reproducible"),
        (LosesABuffer, "translates differently after it is saved and loaded"),
        (NotMonitored, "monitors 'fid', but its validation losses are l1"),
        (PerSampleValidation, "is not a scalar"),
        (AnotherGenerator, "translate does not use `generator`"),
        (WeightsOutside, "outside `generator`"),
        (NoGenerator, "has no network `generator`"),
        (RemembersInPython, "must be in a buffer"),
        (LearnsByPythonsDice, "with the same seed differ"),
        (NaiveLogarithm, "log .* is inf"),
    ],
)
def test_a_model_that_breaks_a_promise_is_told_which(flawed, message):
    with pytest.raises(AssertionError, match=message):
        check_model(flawed)


def test_a_size_the_model_does_not_take_is_refused():
    with pytest.raises(AssertionError, match="takes .64,. px"):
        check_model(Plain, size=128)


def test_checking_leaves_the_random_state_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    check_model(Plain)
    assert torch.equal(before, torch.get_rng_state())


def test_the_suite_imports_no_test_runner():
    text = "".join(path.read_text() for path in Path(check_model.__code__.co_filename).parent.glob("*.py"))
    assert "import pytest" not in text
