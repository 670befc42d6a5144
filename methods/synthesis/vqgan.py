"""The networks of Med-LSDM's volume autoencoder: encoder, decoder with or without the label map, discriminators."""

from collections.abc import Sequence

from monai.networks.nets.patchgan_discriminator import PatchDiscriminator
from torch import Tensor, nn
from torch.nn import functional as F

from methods.synthesis.spade import Spade

FACTOR = 4
"""Voxels along each axis of a volume for one of its latent."""
IN_PLANE = (1, 3, 3)


def padded(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv3d:
    """Convolution to size / stride, the volume continued by its border voxels."""
    padding = (kernel - stride) // 2
    return nn.Conv3d(
        in_channels, out_channels, kernel, stride, padding, padding_mode="replicate" if padding else "zeros"
    )


class Growth(nn.Module):
    """Transposed convolution of kernel 4 and stride 2, border voxels continued: (B, i, *S) -> (B, o, *2S)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(in_channels, out_channels, 4, stride=2, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, *S) -> (B, o, *2S)."""
        return self.conv(F.pad(x, (1,) * 6, mode="replicate"))


class Norm(nn.Module):
    """Normalisation by groups, plain or steered by the map: (x (B, C, *S), map (B, K, *R)) -> (B, C, *S)."""

    def __init__(self, channels: int, groups: int, map_channels: int = 0, hidden: int = 0) -> None:
        super().__init__()
        steered = map_channels > 0
        self.plain = None if steered else nn.GroupNorm(groups, channels, eps=1e-6)
        self.steered = Spade(3, channels, map_channels, 8, hidden, IN_PLANE) if steered else None

    def forward(self, x: Tensor, label_map: Tensor | None = None) -> Tensor:
        """(B, C, *S), (B, K, *R) -> (B, C, *S)."""
        return self.plain(x) if self.steered is None else self.steered(x, label_map)


class VolumeBlock(nn.Module):
    """Twice norm-SiLU-conv3, plus the input: (x (B, C, *S), map (B, K, *R)) -> (B, C, *S)."""

    def __init__(self, channels: int, groups: int, map_channels: int = 0, hidden: int = 0) -> None:
        super().__init__()
        self.norm1, self.norm2 = (Norm(channels, groups, map_channels, hidden) for _ in range(2))
        self.conv1, self.conv2 = (padded(channels, channels, 3) for _ in range(2))

    def forward(self, x: Tensor, label_map: Tensor | None = None) -> Tensor:
        """(B, C, *S), (B, K, *R) -> (B, C, *S)."""
        h = self.conv1(F.silu(self.norm1(x, label_map)))
        return x + self.conv2(F.silu(self.norm2(h, label_map)))


class Encoder(nn.Module):
    """(B, C, D, H, W) in [-1, 1] -> (B, latent, D/4, H/4, W/4). width: channels before the first halving, each of which
    doubles them; groups must divide them."""

    def __init__(self, in_channels: int, width: int, latent: int, groups: int) -> None:
        super().__init__()
        self.stem = padded(in_channels, width, 3)
        self.shrink = nn.ModuleList([padded(width, 2 * width, 4, 2), padded(2 * width, 4 * width, 4, 2)])
        self.blocks = nn.ModuleList([VolumeBlock(2 * width, groups), VolumeBlock(4 * width, groups)])
        self.norm = nn.GroupNorm(groups, 4 * width, eps=1e-6)
        self.out = nn.Conv3d(4 * width, latent, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> (B, latent, D/4, H/4, W/4)."""
        h = self.stem(x)
        for shrink, block in zip(self.shrink, self.blocks, strict=True):
            h = block(shrink(h))
        return self.out(F.silu(self.norm(h)))


class Decoder(nn.Module):
    """(latent (B, latent, *S), one-hot map (B, K, *R)) -> (B, C, *4S) in [-1, 1].

    map_channels: K where every normalisation is steered by the map (Med-LSDM's "SPADE"), 0 where none is ("normal").
    width, groups: as of `Encoder`; hidden: see `Spade`.
    """

    def __init__(
        self, out_channels: int, width: int, latent: int, groups: int, map_channels: int = 0, hidden: int = 0
    ) -> None:
        super().__init__()

        def blocks(channels: int) -> nn.ModuleList:
            return nn.ModuleList([VolumeBlock(channels, groups, map_channels, hidden) for _ in range(2)])

        self.stem = nn.Conv3d(latent, 4 * width, 1)
        self.norm = Norm(4 * width, groups, map_channels, hidden)
        self.grow = nn.ModuleList([Growth(4 * width, 4 * width), Growth(4 * width, 2 * width)])
        self.blocks = nn.ModuleList([blocks(4 * width), blocks(2 * width)])
        self.out = padded(2 * width, out_channels, 3)

    def forward(self, latent: Tensor, label_map: Tensor | None = None) -> Tensor:
        """(B, latent, *S), (B, K, *R) -> (B, C, *4S)."""
        h = F.silu(self.norm(self.stem(latent), label_map))
        for grow, blocks in zip(self.grow, self.blocks, strict=True):
            h = grow(h)
            for block in blocks:
                h = block(h, label_map)
        return self.out(h).tanh()


class Discriminators(nn.Module):
    """PatchGAN judges of whole volumes and of slices of them (MONAI's `PatchDiscriminator`): channels from `width`,
    doubled by each of `layers` further convolutions, of which the last has stride 1."""

    def __init__(self, in_channels: int, width: int, layers: int) -> None:
        super().__init__()
        self.slices, self.volumes = (
            PatchDiscriminator(dims, width, in_channels, num_layers_d=layers) for dims in (2, 3)
        )

    def forward(self, volume: Tensor, slices: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
        """Feature maps, the logits last, of one slice along the first axis of each of (B, C, D, H, W), and of all."""
        return self.slices(volume[range(len(volume)), :, slices]), self.volumes(volume)
