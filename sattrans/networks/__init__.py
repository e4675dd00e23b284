"""Layers and losses that two or more model plugins share."""

from torch import Tensor, full_like, nn
from torch.nn import functional as F

from sattrans.networks.cpu import Conv2d, ConvTranspose2d, join

__all__ = ["Conv2d", "ConvTranspose2d", "bce_against", "init_normal", "join"]


def init_normal(network: nn.Module, std: float = 0.02) -> nn.Module:
    """Draw a network's weights as pix2pix does, and return it.

    Convolutions and linear layers from N(0, std), batch-norm weights from N(1, std), biases 0.
    (Isola et al. 2017, section 6.2.)
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, std)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return network


def bce_against(logits: Tensor, label: float) -> Tensor:
    """Return the binary cross-entropy of logits against one label for all of them, a scalar."""
    return F.binary_cross_entropy_with_logits(logits, full_like(logits, label))
