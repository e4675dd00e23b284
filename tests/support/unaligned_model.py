"""A small model that learns from maps and images of different tiles, and the plugin that brings it."""

import os
from pathlib import Path

import torch
from torch import nn

from sattrans import hookimpl
from sattrans.model import Model, Update
from sattrans.networks import bce_against


class Unaligned(Model):
    """A generator against a discriminator that sees images alone."""

    name = "unaligned"
    pairing = "unaligned"

    def __init__(self, spec, options):
        super().__init__(spec, options)
        width = options.width
        self.generator = nn.Sequential(
            nn.Conv2d(spec.source_channels, width, 3, padding=1), nn.Tanh(), nn.Conv2d(width, 3, 1), nn.Tanh()
        )
        self.discriminator = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Conv2d(width, 1, 1)
        )

    def optimizers(self):
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return {name: torch.optim.Adam(network.parameters(), 1e-3) for name, network in networks.items()}

    def training_step(self, batch):
        fake = self.generator(batch.source)
        yield Update(
            "discriminator",
            {
                "d_real": bce_against(self.discriminator(batch.target), 1.0),
                "d_fake": bce_against(self.discriminator(fake.detach()), 0.0),
            },
        )
        yield Update("generator", {"g_gan": bce_against(self.discriminator(fake), 1.0)})


@hookimpl
def register_models(register):
    register(Unaligned)


def install_unaligned(site: Path, monkeypatch) -> None:
    """Install the model in the folder `site`, for this process and those it starts."""
    info = site / "unaligned-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unaligned\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[sattrans.models]\nunaligned = unaligned_model\n")
    monkeypatch.syspath_prepend(str(site))
    paths = [str(site), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
