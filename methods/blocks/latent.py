"""The four networks of LDSeg: label encoder and decoder, image encoder and denoiser, at three sizes.

Every network takes `spatial_dims`; the layouts are those of the two-dimensional model. Weights start as in the
authors' Keras code, with exact zeros where it draws values of about 1e-6.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks.attention import Attention
from methods.blocks.convolution import (
    MAX_POOL,
    NORM_EPS,
    StridedConv,
    TransposedConv,
    batch_norm,
    conv,
    group_norm,
    initialise,
    zero,
)
from methods.blocks.embedding import TimeEmbedding
from methods.blocks.residual import ImageBlock, LabelBlock, TimeBlock

TIME_DIM = 64


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


LAYOUTS = {
    "paper": Layout((16, 32, 64, 64, 32), (32, 64, 64, 32), 16, (32, 64, 64, 32), 8, 16, (16, 32, 64)),
    "small": Layout((16, 32, 64, 32), (32, 64, 32), 16, (32, 64, 32), 4, 16, (16, 32)),
    "tiny": Layout((8, 16, 32, 16), (16, 32, 16), 8, (16, 32, 16), 4, 16, (16, 32)),
}


class _Network(nn.Module):
    """A network with Keras' initialisation; blocks with a `reset` of their own have the last word."""

    def reset_parameters(self) -> None:
        self.apply(initialise)
        for module in self.modules():
            if hasattr(module, "reset"):
                module.reset()
            if isinstance(module, Attention):
                zero(module.proj)


class LabelEncoder(_Network):
    """Label map (B, C, *S) float -> latent (B, latent_channels, *S/f), f the layout's down-sampling.

    norm: "affine" ends in a layer norm over all voxels with a scale and shift per voxel, which ties the network to
    one size; "plain" leaves those out; None ends in the 1x1 convolution.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        layout: Layout,
        latent_size: tuple[int, ...],
        latent_channels: int = 1,
        norm: str | None = "affine",
    ):
        super().__init__()
        inputs = (in_channels, *layout.encoder[:-1])
        self.blocks = nn.ModuleList(LabelBlock(spatial_dims, i, o) for i, o in zip(inputs, layout.encoder, strict=True))
        self.pool = MAX_POOL[spatial_dims](2)
        self.head = conv(spatial_dims, layout.encoder[-1], latent_channels, kernel=1)
        shape = (latent_channels, *latent_size)
        self.norm = None if norm is None else nn.LayerNorm(shape, NORM_EPS, elementwise_affine=norm == "affine")
        self.reset_parameters()

    def forward(self, label: Tensor) -> Tensor:
        h = self.blocks[0](label)
        for block in self.blocks[1:]:
            h = block(self.pool(h))
        h = self.head(h)
        return h if self.norm is None else self.norm(h)


class LabelDecoder(_Network):
    """Latent (B, latent_channels, *S/f) -> class logits (B, classes, *S); softmax over dim 1 gives probabilities."""

    def __init__(
        self, spatial_dims: int, classes: int, layout: Layout, latent_channels: int = 1, tf_padding: bool = True
    ):
        super().__init__()
        inputs = (latent_channels, *layout.decoder[:-1])
        self.ups = nn.ModuleList(
            TransposedConv(spatial_dims, i, o, tf_padding) for i, o in zip(inputs, layout.decoder, strict=True)
        )
        self.blocks = nn.ModuleList(LabelBlock(spatial_dims, o, o) for o in layout.decoder)
        self.head = conv(spatial_dims, layout.decoder[-1], classes, kernel=1)
        self.norm = batch_norm(spatial_dims, classes)
        self.reset_parameters()

    def forward(self, z: Tensor) -> Tensor:
        for up, block in zip(self.ups, self.blocks, strict=True):
            z = block(up(z))
        return self.norm(self.head(F.silu(z)))


class ImageEncoder(_Network):
    """Image (B, C, *S) in [0, 1] -> embedding (B, 1, *S/f).

    attention: "code" attends after each of the last two blocks and once more on the single-channel map, as the
    authors' code does; "two" leaves out the third, as the paper does.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, layout: Layout, attention: str = "code", tf_padding: bool = True
    ):
        super().__init__()
        self.stem = conv(spatial_dims, in_channels, layout.stem)
        inputs = (layout.stem, *layout.image[:-1])
        self.blocks = nn.ModuleList(
            ImageBlock(spatial_dims, i, o, tf_padding) for i, o in zip(inputs, layout.image, strict=True)
        )
        plain = len(layout.image) - 2
        self.attentions = nn.ModuleList(
            nn.Identity() if i < plain else Attention(width, layout.heads, groups=8)
            for i, width in enumerate(layout.image)
        )
        self.head = conv(spatial_dims, layout.image[-1], 1, kernel=1)
        self.head_attention = Attention(1, heads=1, groups=1) if attention == "code" else nn.Identity()
        self.norm = batch_norm(spatial_dims, 1)
        self.reset_parameters()
        zero(self.head)

    def forward(self, image: Tensor) -> Tensor:
        h = self.stem(image)
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = attention(block(h))
        return self.norm(F.silu(self.head_attention(self.head(h))))


class Denoiser(_Network):
    """(latent (B, c, *S), embedding (B, e, *S), times (B,)) -> eps_hat (B, c, *S).

    U-Net with two blocks per level down and three up, attention (one head) on all levels but the first, skips from
    every block, every strided convolution and the stem. attn_residual: see `Attention`.
    """

    def __init__(
        self,
        spatial_dims: int,
        layout: Layout,
        latent_channels: int = 1,
        embedding_channels: int = 1,
        attn_residual: str = "normed",
        tf_padding: bool = True,
    ):
        super().__init__()

        def block(i: int, o: int, attention: bool) -> nn.ModuleDict:
            parts = {"residual": TimeBlock(spatial_dims, i, o, TIME_DIM)}
            if attention:
                parts["attention"] = Attention(o, heads=1, groups=4, residual=attn_residual)
            return nn.ModuleDict(parts)

        widths = layout.denoiser
        self.time = TimeEmbedding(TIME_DIM)
        self.stem = conv(spatial_dims, latent_channels + embedding_channels, layout.denoiser_stem)
        skips = [width := layout.denoiser_stem]
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        for level, out in enumerate(widths):
            if level:
                self.shrink.append(StridedConv(spatial_dims, width, width, tf_padding))
                skips.append(width)
            self.down.append(nn.ModuleList([block(width, out, level > 0), block(out, out, level > 0)]))
            skips += [out, out]
            width = out
        self.middle = nn.ModuleList([block(width, width, True), block(width, width, False)])
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level, out in reversed(list(enumerate(widths))):
            blocks = []
            for _ in range(3):
                blocks.append(block(width + skips.pop(), out, level > 0))
                width = out
            self.up.append(nn.ModuleList(blocks))
            if level:
                self.grow.append(conv(spatial_dims, width, width))
        self.norm = group_norm(4, width)
        self.head = conv(spatial_dims, width, latent_channels)
        self.reset_parameters()

    def forward(self, z: Tensor, embedding: Tensor, t: Tensor) -> Tensor:
        time = self.time(t)

        def run(block: nn.ModuleDict, h: Tensor) -> Tensor:
            h = block["residual"](h, time)
            return block["attention"](h) if "attention" in block else h

        h = self.stem(torch.cat([z, embedding], dim=1))
        skips = [h]
        for level, blocks in enumerate(self.down):
            if level:
                h = self.shrink[level - 1](h)
                skips.append(h)
            for block in blocks:
                h = run(block, h)
                skips.append(h)
        for block in self.middle:
            h = run(block, h)
        for level, blocks in enumerate(self.up):
            for block in blocks:
                h = run(block, torch.cat([h, skips.pop()], dim=1))
            if level < len(self.grow):
                h = self.grow[level](F.interpolate(h, scale_factor=2, mode="nearest"))
        return self.head(F.silu(self.norm(h)))
