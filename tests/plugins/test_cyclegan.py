"""CycleGAN as its paper has it: networks, losses, the pool; both directions, and what is refused."""

import numpy as np
import pytest
import torch
from commands import sattrans
from makers import make_folder
from PIL import Image
from torch import nn

from sattrans.data.batches import Batches, TileStore
from sattrans.data.contact_sheet import GAP, HEAD
from sattrans.errors import OptionError, UsageError
from sattrans.evaluate import evaluate
from sattrans.model import Batch, TileSpec
from sattrans.raster.open import open_raster
from sattrans.runs.model_options import resolve
from sattrans.runs.run import Run
from sattrans.tile import TileOptions, tile
from sattrans.train import TrainOptions, train
from sattrans.train.validation import write_samples
from sattrans_cyclegan.model import CycleGAN
from sattrans_cyclegan.networks import ImagePool, ResNetGenerator, UnconditionalPatchDiscriminator

SMALL = {"width": 4, "blocks": 1, "pool": 2}


def build(channels=3, **options):
    torch.manual_seed(0)
    spec = TileSpec(64, channels, classes=channels)
    chosen = CycleGAN.Options(**{**SMALL, "source": "color", **options})
    return CycleGAN.configured(chosen)(spec, chosen)


def batch(channels=3):
    draw = torch.Generator().manual_seed(1)
    maps = torch.rand(2, channels, 64, 64, generator=draw)
    maps = maps.softmax(1) if channels != 3 else maps * 2 - 1
    return Batch(maps, torch.rand(2, 3, 64, 64, generator=draw) * 2 - 1)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# The networks.


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_the_networks_have_the_papers_number_of_parameters(upsampling):
    with torch.device("meta"):
        assert count(ResNetGenerator(3, 3, upsampling=upsampling)) == 11_378_179
        assert count(UnconditionalPatchDiscriminator(3)) == 2_764_737


@pytest.mark.slow
def test_the_generator_has_the_papers_layers():
    with torch.device("meta"):
        generator = ResNetGenerator(3, 3)
    layers = [m for m in generator.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    shapes = [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in layers]
    blocks = [(256, 3, 1)] * 18
    assert shapes == [(64, 7, 1), (128, 3, 2), (256, 3, 2), *blocks, (128, 3, 2), (64, 3, 2), (3, 7, 1)]
    norms = [m for m in generator.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert len(norms) == len(layers) - 1 and not any(norm.affine or norm.track_running_stats for norm in norms)
    assert generator(torch.zeros(1, 3, 64, 64, device="meta")).shape == (1, 3, 64, 64)


def test_the_discriminator_sees_patches_of_70_pixels():
    with torch.device("meta"):
        discriminator = UnconditionalPatchDiscriminator(3)
        assert discriminator(torch.zeros(1, 3, 256, 256, device="meta")).shape == (1, 1, 30, 30)
    assert len([m for m in discriminator.modules() if isinstance(m, nn.InstanceNorm2d)]) == 3


def test_a_map_of_classes_is_made_as_shares_of_the_classes():
    model = build(5, source="onehot")
    fake = model.to_map(batch(5).target)
    assert fake.shape == (2, 5, 64, 64)
    assert torch.allclose(fake.sum(1), torch.ones(2, 64, 64), atol=1e-5)


# The losses.


def test_the_generators_losses_are_those_of_the_paper():
    model, data = build(), batch()
    maps, images = data.source, data.target
    update = next(model.training_step(data))
    to_image, to_map = model.to_image, model.to_map
    expected = {
        "g_image": (model.image_discriminator(to_image(maps)) - 1).square().mean(),
        "g_map": (model.map_discriminator(to_map(images)) - 1).square().mean(),
        "cycle_map": 10 * (to_map(to_image(maps)) - maps).abs().mean(),
        "cycle_image": 10 * (to_image(to_map(images)) - images).abs().mean(),
        "identity_image": 5 * (to_image(images) - images).abs().mean(),
        "identity_map": 5 * (to_map(maps) - maps).abs().mean(),
    }
    assert update.optimizer == "generators"
    assert update.losses.keys() == expected.keys()
    for name, value in expected.items():
        assert update.losses[name].item() == pytest.approx(value.item(), rel=1e-4), name


def test_the_discriminators_minimise_half_of_the_squared_differences():
    model, data = build(), batch()
    _, update = model.training_step(data)
    fake = model.to_image(data.source)  # the pool is empty, and returns it
    judge = model.image_discriminator
    expected = 0.5 * ((judge(data.target) - 1).square().mean() + judge(fake).square().mean())
    assert update.optimizer == "discriminators"
    assert update.losses["d_image"].item() == pytest.approx(expected.item(), rel=1e-4)
    update.total.backward()
    assert all(parameter.grad is None for parameter in [*model.generator.parameters(), *model.inverse.parameters()])


@pytest.mark.parametrize(("channels", "options"), [(5, {"source": "onehot"}), (3, {"identity": 0})])
def test_there_is_no_identity_loss_for_classes_nor_without_its_weight(channels, options):
    update = next(build(channels, **options).training_step(batch(channels)))
    assert update.losses.keys() == {"g_image", "g_map", "cycle_map", "cycle_image"}


def test_the_optimisers_are_the_papers():
    for optimizer in build().optimizers().values():
        assert isinstance(optimizer, torch.optim.Adam)
        assert all(group["lr"] == 2e-4 and group["betas"] == (0.5, 0.999) for group in optimizer.param_groups)


# The pool.


def numbered(first, number):
    return torch.arange(first, first + number).float().view(-1, 1, 1, 1)


def test_a_pool_returns_what_it_takes_until_it_is_full():
    pool = ImagePool(4, 1, 1)
    assert torch.equal(pool(numbered(0, 3)), numbered(0, 3))
    assert torch.equal(pool(numbered(3, 1)), numbered(3, 1))
    assert pool.images.flatten().tolist() == [0, 1, 2, 3]


def test_a_full_pool_returns_an_image_of_its_own_for_every_second_and_keeps_the_new_one():
    torch.manual_seed(0)
    pool = ImagePool(50, 1, 1)
    pool(numbered(0, 50))
    returned = pool(numbered(50, 1000)).flatten()
    earlier = returned != torch.arange(50, 1050)
    assert 450 < earlier.sum() < 550  # binomial, one half: three standard deviations are 47
    given, kept = returned.tolist(), pool.images.flatten().tolist()
    assert sorted(given + kept) == list(range(1050))  # each once: exchanged, not copied
    assert len(kept) == 50 and max(kept) > 1000


def test_a_pool_of_none_returns_what_it_gets():
    assert torch.equal(ImagePool(0, 1, 1)(numbered(0, 3)), numbered(0, 3))


# Directions.


def test_direction_decides_which_generator_translates():
    there, back = build(), build(direction="image2map")
    assert there.generator is there.to_image and there.inverse is there.to_map
    assert back.generator is back.to_map and back.inverse is back.to_image
    data = batch()
    assert there.sources_of(data) is data.source and back.sources_of(data) is data.target
    expected = (back.to_map(data.target) - data.source).abs().mean()
    assert back.validation_losses(data)["l1"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_maps_of_images_are_colours():
    with pytest.raises(OptionError, match="direction=image2map paints maps in colours: use source=color"):
        resolve(CycleGAN, {"direction": "image2map", "source": "onehot"})


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cyclegan")
    place = make_folder(folder / "f", size=128, classes_toml=True)
    return tile(place, folder / "t", options=TileOptions(size=64)).tileset


@pytest.fixture(scope="module")
def map_maker(tiles):
    settings = {**SMALL, "direction": "image2map"}
    options = TrainOptions(model="cyclegan", settings=settings, steps=2)  # by default l1 chooses the checkpoint
    return train(tiles.folder, tiles.folder.parent / "image2map", options).run


def test_a_run_that_makes_maps_reads_an_image(tiles, map_maker):
    assert Run.open(map_maker.folder).palette is None  # of colours, though the tileset has classes
    assert map_maker.manifest["options"]["source"] == "color" and map_maker.manifest["spec"]["classes"] == 0
    image = sorted((tiles.folder.parent / "f" / "images").iterdir())[0]
    output = tiles.folder.parent / "map.tif"
    done = sattrans("generate", image, "-o", output, "--run", map_maker.folder)
    assert done.exit_code == 0, done.stderr
    with open_raster(output) as made, open_raster(image) as photo:
        assert made.read().shape == photo.read()[:3].shape
        assert not np.array_equal(made.read(), photo.read()[:3])


def test_samples_are_maps_of_the_real_images(tiles, tmp_path):
    model = build(direction="image2map")
    model.translate = lambda source, noise: source
    store = TileStore(tiles, tiles.split("val") or tiles.split("train"))
    write_samples(model, Batches(store, "color", 1, torch.device("cpu")), tmp_path / "s.png")
    sheet = np.asarray(Image.open(tmp_path / "s.png").convert("RGB")).astype(int)
    step = (sheet.shape[1] - GAP) // 3
    made, real = sheet[HEAD:, step : 2 * step], sheet[HEAD:, 2 * step : 3 * step]
    assert np.array_equal(made, real) and not np.array_equal(made, sheet[HEAD:, :step])


def test_a_run_that_makes_maps_is_neither_scored_nor_chosen_by_images(tiles, map_maker, tmp_path):
    with pytest.raises(UsageError, match="image2map makes maps of images, and only images are scored"):
        evaluate(map_maker.folder, tmp_path / "e")
    settings = {**SMALL, "direction": "image2map"}
    options = TrainOptions(model="cyclegan", settings=settings, steps=1, monitor="joint_kid")
    with pytest.raises(UsageError, match="joint_kid compares images, not maps: give --monitor l1"):
        train(tiles.folder, tmp_path / "r", options)
    assert list(tmp_path.iterdir()) == []
