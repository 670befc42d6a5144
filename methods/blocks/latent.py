"""The autoencoder and the image encoder of LDSeg, and the widths of all its networks, at three sizes, 2D and 3D.

The authors' networks for volumes differ from those for images in more than the rank; each class says in what. Weights
start as in their Keras code, with exact zeros where it draws values of about 1e-6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks.attention import Attention
from methods.blocks.convolution import (
    CONV,
    MAX_POOL,
    NORM_EPS,
    StridedConv,
    TransposedConv,
    UpsampledConv,
    batch_norm,
    conv,
    initialise,
    zero,
)
from methods.blocks.recomputation import recomputed
from methods.blocks.residual import ImageBlock, LabelBlock

EMBEDDING_NORMS = ("fast", "keras")


@dataclass(frozen=True)
class Layout:
    """Widths of the four networks. The latent is 2^len(decoder) times smaller than the image along every axis."""

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]
    stem: int
    image: tuple[int, ...]
    heads: int
    denoiser_stem: int
    denoiser: tuple[int, ...]

    @property
    def downsampling(self) -> int:
        """Image voxels per latent voxel along each axis."""
        return 2 ** len(self.decoder)

    @property
    def divisor(self) -> int:
        """What every side of the image must be divisible by, the denoiser's own down-sampling included."""
        return self.downsampling * 2 ** (len(self.denoiser) - 1)

    def latent_size(self, image_size: Sequence[int], spatial_dims: int, owner: str) -> tuple[int, ...]:
        """Size of the latents of such images; `owner` names the method in the text of a ValueError.

        Raises ValueError for an image that cannot be halved often enough, and for a volume so small that the denoiser's
        attention would be left with a single voxel.
        """
        size, divisor = tuple(image_size), self.divisor
        if len(size) != spatial_dims or any(n < divisor or n % divisor for n in size):
            raise ValueError(
                f"image_size is {size}, but {owner} in {spatial_dims}D needs {spatial_dims} entries, each a multiple "
                f"of {divisor}: round image_size to such values."
            )
        if spatial_dims == 3 and max(size) == divisor:
            raise ValueError(
                f"image_size is {size}, of which {owner} leaves its attention a single voxel: make at least one entry "
                f"{2 * divisor}."
            )
        return tuple(n // self.downsampling for n in size)


_PAPER = Layout((16, 32, 64, 64, 32), (32, 64, 64, 32), 16, (32, 64, 64, 32), 8, 16, (16, 32, 64))
_TINY = Layout((8, 16, 32, 16), (16, 32, 16), 8, (16, 32, 16), 4, 16, (16, 32))
LAYOUTS = {
    2: {
        "paper": _PAPER,
        "small": Layout((16, 32, 64, 32), (32, 64, 32), 16, (32, 64, 32), 4, 16, (16, 32)),
        "tiny": _TINY,
    },
    3: {
        "paper": _PAPER,
        "small": Layout((16, 32, 32), (32, 16), 16, (32, 32), 4, 16, (16, 32)),
        "tiny": _TINY,
    },
}
"""By rank of the images and size. Small volumes are reduced by 4 only: by 8, little of 48x64x48 would be left."""


class Network(nn.Module):
    """A network with Keras' initialisation; blocks with a `reset` of their own have the last word."""

    def reset_parameters(self) -> None:
        """Draw all weights anew: Keras' defaults, then what single blocks and attentions want instead."""
        self.apply(initialise)
        for module in self.modules():
            if hasattr(module, "reset"):
                module.reset()
            if isinstance(module, Attention):
                zero(module.proj)


class LabelEncoder(Network):
    """Label map (B, C, *S) float -> latent (B, latent_channels, *S/f), f the layout's down-sampling.

    norm: "affine" ends in a layer norm over all voxels with a scale and shift per voxel, which ties the network to
    one size; "plain" leaves those out; None ends in the convolution before it.
    2D: max pooling between the blocks, a last convolution of kernel 1. 3D: conv3 of stride 2 between them (to which
    alone `tf_padding` applies), a last convolution of kernel 2, padded by one voxel after the last.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        layout: Layout,
        latent_size: tuple[int, ...],
        latent_channels: int = 1,
        norm: str | None = "affine",
        tf_padding: bool = True,
    ) -> None:
        super().__init__()
        inputs = (in_channels, *layout.encoder[:-1])
        self.blocks = nn.ModuleList(LabelBlock(spatial_dims, i, o) for i, o in zip(inputs, layout.encoder, strict=True))
        flat = spatial_dims == 2
        self.shrink = nn.ModuleList(
            MAX_POOL[2](2) if flat else StridedConv(spatial_dims, width, width, tf_padding)
            for width in layout.encoder[:-1]
        )
        self.pad = None if flat else (0, 1) * spatial_dims
        self.head = CONV[spatial_dims](layout.encoder[-1], latent_channels, 1 if flat else 2)
        shape = (latent_channels, *latent_size)
        self.norm = None if norm is None else nn.LayerNorm(shape, NORM_EPS, elementwise_affine=norm == "affine")
        self.reset_parameters()

    def forward(self, label: Tensor) -> Tensor:
        """(B, in_channels, *S) -> (B, latent_channels, *S/f)."""
        h = self.blocks[0](label)
        for shrink, block in zip(self.shrink, self.blocks[1:], strict=True):
            h = block(shrink(h))
        h = self.head(h if self.pad is None else F.pad(h, self.pad))
        return h if self.norm is None else self.norm(h)


class LabelDecoder(Network):
    """Latent (B, latent_channels, *S/f) -> class logits (B, classes, *S); softmax over dim 1 gives probabilities.

    Every block follows an enlargement: in 2D a transposed conv3 of stride 2, to which alone `tf_padding` applies, in 3D
    nearest-neighbour enlargement and a conv3.
    """

    def __init__(
        self, spatial_dims: int, classes: int, layout: Layout, latent_channels: int = 1, tf_padding: bool = True
    ) -> None:
        super().__init__()
        inputs = (latent_channels, *layout.decoder[:-1])
        self.ups = nn.ModuleList(
            TransposedConv(i, o, tf_padding) if spatial_dims == 2 else UpsampledConv(spatial_dims, i, o)
            for i, o in zip(inputs, layout.decoder, strict=True)
        )
        self.blocks = nn.ModuleList(LabelBlock(spatial_dims, o, o) for o in layout.decoder)
        self.head = conv(spatial_dims, layout.decoder[-1], classes, kernel=1)
        self.norm = batch_norm(spatial_dims, classes)
        self.reset_parameters()

    @torch.no_grad()
    def expect(self, labels: Iterable[Tensor]) -> None:
        """Let the logits start at the logarithms of the classes' frequencies in `labels`, less their mean.

        labels: (B, *S) int64 each, at least one. A class that is absent counts as one voxel.

        The last batch norm gives every class logits of mean 0 and standard deviation 1. From there its scale and shift
        can move by about the sum of the learning rates, some tenths in 400 steps, whereas a class that fills 2 % of the
        voxels wants a shift of some -4. Until they get there cross entropy and Dice are about nothing but the level of
        the background (the remedy is that of Lin et al. 2017, "Focal loss for dense object detection", sec. 3.3).
        """
        classes = len(self.norm.bias)
        counts = sum(torch.bincount(label.flatten(), minlength=classes) for label in labels)
        logarithms = counts.clamp(min=1).double().log()
        self.norm.bias.copy_(logarithms - logarithms.mean())

    def forward(self, z: Tensor) -> Tensor:
        """(B, latent_channels, *S/f) -> class logits (B, classes, *S)."""
        for up, block in zip(self.ups, self.blocks, strict=True):
            z = block(up(z))
        return self.norm(recomputed(lambda y: self.head(F.silu(y)), z))


class ImageEncoder(Network):
    """Image (B, C, *S) in [0, 1] -> embedding (B, 1, *S/f).

    attention: "code" attends after each of the last two blocks and once more on the single-channel map, as the
    authors' code does; "two" leaves out the third, as the paper does. In 3D the authors' code has no attention at all,
    a last convolution of kernel 3 instead of 1 and no SiLU behind it: `attention` and `tf_padding` have no effect.
    embedding_norm: "keras" or "fast", see the switch of LDSeg.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        layout: Layout,
        attention: str = "code",
        tf_padding: bool = True,
        embedding_norm: str = "keras",
    ) -> None:
        super().__init__()
        self.stem = conv(spatial_dims, in_channels, layout.stem)
        inputs = (layout.stem, *layout.image[:-1])
        self.blocks = nn.ModuleList(
            ImageBlock(spatial_dims, i, o, tf_padding) for i, o in zip(inputs, layout.image, strict=True)
        )
        flat = spatial_dims == 2
        plain = len(layout.image) - 2 if flat else len(layout.image)
        self.attentions = nn.ModuleList(
            nn.Identity() if i < plain else Attention(width, layout.heads, groups=8)
            for i, width in enumerate(layout.image)
        )
        self.head = conv(spatial_dims, layout.image[-1], 1, kernel=1 if flat else 3)
        self.head_attention = Attention(1, heads=1, groups=1) if flat and attention == "code" else nn.Identity()
        self.activation = nn.SiLU() if flat else nn.Identity()
        self.norm = batch_norm(spatial_dims, 1)
        if embedding_norm == "fast":
            self.norm.eps, self.norm.momentum = 1e-5, 0.1
        self.reset_parameters()
        zero(self.head)

    def features(self, image: Tensor) -> Tensor:
        """(B, in_channels, *S) in [0, 1] -> (B, 1, *S/f), before the last batch norm."""
        h = self.stem(image)
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = attention(block(h))
        return self.activation(self.head_attention(self.head(h)))

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, *S) in [0, 1] -> (B, 1, *S/f)."""
        return self.norm(self.features(image))
