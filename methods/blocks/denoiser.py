"""The denoiser of LDSeg, a small U-Net on latents that is told the time and the image's embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks.attention import Attention
from methods.blocks.convolution import StridedConv, conv, group_norm
from methods.blocks.embedding import TimeEmbedding
from methods.blocks.latent import Layout, Network
from methods.blocks.residual import TimeBlock

TIME_DIM = 64


class Denoiser(Network):
    """(latent (B, c, *S), embedding (B, e, *S), times (B,)) -> eps_hat (B, c, *S).

    U-Net with two blocks per level down, attention (one head) on all levels but the first and skips from every block.
    In 2D the stem and the strided convolutions are skips, too, so that there are three blocks per level up; in 3D two.
    attn_residual: see `Attention`; tf_padding: see `StridedConv`.
    """

    def __init__(
        self,
        spatial_dims: int,
        layout: Layout,
        latent_channels: int = 1,
        embedding_channels: int = 1,
        attn_residual: str = "normed",
        tf_padding: bool = True,
    ) -> None:
        super().__init__()

        def block(i: int, o: int, attention: bool) -> nn.ModuleDict:
            parts = {"residual": TimeBlock(spatial_dims, i, o, TIME_DIM)}
            if attention:
                parts["attention"] = Attention(o, heads=1, groups=4, residual=attn_residual)
            return nn.ModuleDict(parts)

        widths = layout.denoiser
        self.skip_all = spatial_dims == 2
        self.time = TimeEmbedding(TIME_DIM)
        self.stem = conv(spatial_dims, latent_channels + embedding_channels, layout.denoiser_stem)
        width = layout.denoiser_stem
        skips = [width] if self.skip_all else []
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        for level, out in enumerate(widths):
            if level:
                self.shrink.append(StridedConv(spatial_dims, width, width, tf_padding))
                if self.skip_all:
                    skips.append(width)
            self.down.append(nn.ModuleList([block(width, out, level > 0), block(out, out, level > 0)]))
            skips += [out, out]
            width = out
        self.middle = nn.ModuleList([block(width, width, True), block(width, width, False)])
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level, out in reversed(list(enumerate(widths))):
            blocks = []
            for _ in range(3 if self.skip_all else 2):
                blocks.append(block(width + skips.pop(), out, level > 0))
                width = out
            self.up.append(nn.ModuleList(blocks))
            if level:
                self.grow.append(conv(spatial_dims, width, width))
        self.norm = group_norm(4, width)
        self.head = conv(spatial_dims, width, latent_channels)
        self.reset_parameters()

    def forward(self, z: Tensor, embedding: Tensor, t: Tensor) -> Tensor:
        """(B, c, *S), (B, e, *S), (B,) -> (B, c, *S): eps_hat of the latent at real times in 0..T."""
        time = self.time(t)

        def run(block: nn.ModuleDict, h: Tensor) -> Tensor:
            h = block["residual"](h, time)
            return block["attention"](h) if "attention" in block else h

        h = self.stem(torch.cat([z, embedding], dim=1))
        skips = [h] if self.skip_all else []
        # Down: two blocks per level, each of them a skip.
        for level, blocks in enumerate(self.down):
            if level:
                h = self.shrink[level - 1](h)
                if self.skip_all:
                    skips.append(h)
            for block in blocks:
                h = run(block, h)
                skips.append(h)
        for block in self.middle:
            h = run(block, h)
        # Up: every block takes the latest skip that is left.
        for level, blocks in enumerate(self.up):
            for block in blocks:
                h = run(block, torch.cat([h, skips.pop()], dim=1))
            if level < len(self.grow):
                h = self.grow[level](F.interpolate(h, scale_factor=2, mode="nearest"))
        return self.head(F.silu(self.norm(h)))
