"""Feature networks: VGG19 and Inception v3, with the parameter names of the published weights."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VGG19_LAYERS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512)
"""Channels of each convolution; 0 is a max pooling."""

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

INCEPTION_SIDE = 299


class VGG19(nn.Module):
    """VGG19 up to relu5_4 (Simonyan and Zisserman 2015): 20,024,384 weights, names as torchvision's `features`."""

    ignored: ClassVar[tuple[str, ...]] = ("classifier.",)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in VGG19_LAYERS:
            if width:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return relu5_4, (N, 512, H/16, W/16), of images (N, 3, H, W) that the caller has normalised."""
        features: Tensor = self.features(images)
        return features


def imagenet_normalised(images: Tensor) -> Tensor:
    """Return images (N, 3, H, W) uint8 as VGG19 was trained: 0 to 1, ImageNet's mean and deviation."""
    mean, deviation = (torch.tensor(v, device=images.device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    return (images.float() / 255 - mean) / deviation


class _Conv(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, size: int | tuple[int, int], stride: int = 1, padding: bool = True
    ):
        super().__init__()
        sides = (size, size) if isinstance(size, int) else size
        pads = (sides[0] // 2, sides[1] // 2) if padding and stride == 1 else (0, 0)
        self.conv = nn.Conv2d(in_channels, out_channels, sides, stride, pads, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class _InceptionBlock(nn.Module):
    """Branches side by side, joined by channel: the names of each branch's convolutions, in order."""

    def __init__(
        self, in_channels: int, branches: Mapping[str, tuple[tuple[str, int, int | tuple[int, int]], ...]], fid: bool
    ):
        super().__init__()
        self.fid = fid
        self.chains: list[list[str]] = []
        for prefix, chain in branches.items():
            channels, names = in_channels, []
            for suffix, out_channels, size in chain:
                setattr(self, prefix + suffix, _Conv(channels, out_channels, size))
                names.append(prefix + suffix)
                channels = out_channels
            self.chains.append(names)

    def run(self, names: list[str], x: Tensor) -> Tensor:
        for name in names:
            x = getattr(self, name)(x)
        return x

    def pooled(self, x: Tensor) -> Tensor:
        # The network that defines FID averages without the padding; torchvision's includes it.
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=not self.fid)

    def forward(self, x: Tensor) -> Tensor:
        *chains, pool = self.chains
        return torch.cat([*(self.run(chain, x) for chain in chains), self.run(pool, self.pooled(x))], 1)


class _InceptionA(_InceptionBlock):
    def __init__(self, in_channels: int, pool: int, fid: bool) -> None:
        branches = {
            "branch1x1": (("", 64, 1),),
            "branch5x5": (("_1", 48, 1), ("_2", 64, 5)),
            "branch3x3dbl": (("_1", 64, 1), ("_2", 96, 3), ("_3", 96, 3)),
            "branch_pool": (("", pool, 1),),
        }
        super().__init__(in_channels, branches, fid)


class _InceptionB(nn.Module):
    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(in_channels, 384, 3, 2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(in_channels, 64, 1), _Conv(64, 96, 3)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class _InceptionC(_InceptionBlock):
    def __init__(self, narrow: int, fid: bool) -> None:
        across, down = (1, 7), (7, 1)
        branches = {
            "branch1x1": (("", 192, 1),),
            "branch7x7": (("_1", narrow, 1), ("_2", narrow, across), ("_3", 192, down)),
            "branch7x7dbl": (
                ("_1", narrow, 1),
                ("_2", narrow, down),
                ("_3", narrow, across),
                ("_4", narrow, down),
                ("_5", 192, across),
            ),
            "branch_pool": (("", 192, 1),),
        }
        super().__init__(768, branches, fid)


class _InceptionD(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = _Conv(768, 192, 1), _Conv(192, 320, 3, 2)
        self.branch7x7x3_1, self.branch7x7x3_2 = _Conv(768, 192, 1), _Conv(192, 192, (1, 7))
        self.branch7x7x3_3, self.branch7x7x3_4 = _Conv(192, 192, (7, 1)), _Conv(192, 192, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), long, F.max_pool2d(x, 3, 2)], 1)


class _InceptionE(_InceptionBlock):
    def __init__(self, in_channels: int, fid: bool, last: bool = False) -> None:
        branches = {
            "branch1x1": (("", 320, 1),),
            "branch3x3": (("_1", 384, 1),),
            "branch3x3dbl": (("_1", 448, 1), ("_2", 384, 3)),
            "branch_pool": (("", 192, 1),),
        }
        super().__init__(in_channels, branches, fid)
        for name in ("branch3x3_2", "branch3x3dbl_3"):
            setattr(self, name + "a", _Conv(384, 384, (1, 3)))
            setattr(self, name + "b", _Conv(384, 384, (3, 1)))
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        plain, split, double, pool = self.chains
        parts = [self.run(plain, x)]
        for chain, name in ((split, "branch3x3_2"), (double, "branch3x3dbl_3")):
            stem = self.run(chain, x)
            parts += [getattr(self, name + "a")(stem), getattr(self, name + "b")(stem)]
        # FID's network has a max pooling in its last block: a mistake of its authors that all scores have repeated.
        pooled = F.max_pool2d(x, 3, 1, 1) if self.last and self.fid else self.pooled(x)
        return torch.cat([*parts, self.run(pool, pooled)], 1)


class InceptionV3(nn.Module):
    """Inception v3 up to its last mean (Szegedy et al. 2016): images (N, 3, H, W) uint8 to features (N, 2048).

    With `fid` it is the network that defines FID, for the weights of pytorch-fid; without, it is torchvision's. Scores
    from different networks, or from images resized in another way, are not comparable. Images are resized to 299 px
    bilinearly, without antialiasing, and scaled to [-1, 1].
    """

    ignored: ClassVar[tuple[str, ...]] = ("AuxLogits.", "fc.")

    def __init__(self, fid: bool = True) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3, padding=False)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3, padding=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = (
            _InceptionA(192, 32, fid),
            _InceptionA(256, 64, fid),
            _InceptionA(288, 64, fid),
        )
        self.Mixed_6a = _InceptionB(288)
        self.Mixed_6b, self.Mixed_6c = _InceptionC(128, fid), _InceptionC(160, fid)
        self.Mixed_6d, self.Mixed_6e = _InceptionC(160, fid), _InceptionC(192, fid)
        self.Mixed_7a = _InceptionD()
        self.Mixed_7b, self.Mixed_7c = _InceptionE(1280, fid), _InceptionE(2048, fid, last=True)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, 2048)."""
        x = F.interpolate(images.float() / 127.5 - 1, size=(INCEPTION_SIDE,) * 2, mode="bilinear", align_corners=False)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean((2, 3))
