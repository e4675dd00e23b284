"""Layers, losses and pretrained networks that model plugins share."""

from torch import Tensor, full_like, nn
from torch.nn import functional as F

from sattrans.networks.augmentation import Augmentation, augment, discriminator_views, is_augmented
from sattrans.networks.cpu import Conv2d, ConvTranspose2d, join
from sattrans.networks.efficientnet import EfficientNetLite, load_efficientnet_lite
from sattrans.networks.spectral import SpectralConv2d

__all__ = [
    "Augmentation",
    "Conv2d",
    "ConvTranspose2d",
    "EfficientNetLite",
    "SpectralConv2d",
    "augment",
    "bce_against",
    "discriminator_views",
    "init_normal",
    "is_augmented",
    "join",
    "load_efficientnet_lite",
]


def init_normal(network: nn.Module, std: float = 0.02) -> nn.Module:
    """Initialise a network's weights as pix2pix does (Isola et al. 2017, section 6.2).

    Weights of convolutions and linear layers are drawn from N(0, std), those of batch norms from N(1, std). Biases are
    0.

    Args:
        network: The network, changed in place.
        std: Standard deviation.

    Returns:
        The same network.
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
    """Compute the mean binary cross-entropy of logits against one label.

    Args:
        logits: Logits of any shape.
        label: The label of all of them, 0 to 1.

    Returns:
        A scalar.
    """
    return F.binary_cross_entropy_with_logits(logits, full_like(logits, label))
