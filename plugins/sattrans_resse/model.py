"""ResSE: pix2pix with residual squeeze-and-excitation blocks, and early stopping."""

from torch import nn

from sattrans.model import TrainDefaults
from sattrans_pix2pix.model import Pix2Pix
from sattrans_resse.networks import ResSEPatchDiscriminator, ResSEUNet


class ResSE(Pix2Pix):
    """pix2pix's losses and optimisers on networks with residual SE blocks in encoder, decoder and discriminator.

    Trains for 30 epochs at most and stops after 10 without a better score on the validation split; the weights of the
    best epoch are used. The report's score was the total generator loss (`--monitor generator`).
    """

    name = "resse"
    title = "ResSE: pix2pix with residual squeeze-and-excitation blocks"
    paper = (
        "Isola et al. 2017 (pix2pix, https://arxiv.org/abs/1611.07004) with the blocks of Hu, Shen, Sun: "
        "Squeeze-and-Excitation Networks, CVPR 2018, https://arxiv.org/abs/1709.01507"
    )
    defaults = TrainDefaults(epochs=30, batch_size=1, patience=10, schedule="constant")

    def build_generator(self) -> nn.Module:
        """Return the U-Net with residual SE blocks."""
        spec, options = self.spec, self.options
        return ResSEUNet(spec.size, spec.source_channels, spec.target_channels, options.width, options.upsampling)

    def build_discriminator(self) -> nn.Module:
        """Return the PatchGAN with residual SE blocks."""
        return ResSEPatchDiscriminator(self.spec.source_channels + self.spec.target_channels, self.options.width)
