"""The U-Net of semantic diffusion: its encoder sees the noisy image alone, its decoder the label map."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.blocks.convolution import conv, zero
from methods.blocks.guided_unet import GuidedBlock, SelfAttention, Step, time_features
from methods.synthesis.spade import SpadeBlock


class SpadeStep(nn.Module):
    """Layers at one place of the way up, one after another; those that are a `SpadeBlock` get the map and the time."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, label_map: Tensor, time: Tensor) -> Tensor:
        """(B, i, *S), (B, K, *R), (B, T) -> (B, o, *S) or (B, o, *2S)."""
        for layer in self.layers:
            x = layer(x, label_map, time) if isinstance(layer, SpadeBlock) else layer(x)
        return x


class SemanticUNet(nn.Module):
    """(x (B, i, *S), map (B, K, *S), times (B,)) -> (B, o, *S), of Wang et al. 2022 (arXiv:2207.00050) and their code.

    The way down is that of guided diffusion (modulated residual blocks that change the resolution themselves), the
    middle and the way up have `SpadeBlock`s. The last convolution starts at zero, so an untrained network returns 0.

    widths: channels of the levels from fine to coarse; every level but the last halves the grid, so each side must be
    a multiple of 2^(levels - 1). blocks: per level on the way down, one more on the way up. attention: indices of the
    levels with attention behind each block, beside the one in the middle. head: channels per head, a divisor of the
    widths there. groups: of all normalisations, a divisor of all widths. hidden: see `Spade`. Wang et al.'s: widths
    256, 256, 512, 512, 1024, 1024, two blocks, attention on the last three levels, heads of 64, 32 groups, 128 hidden.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        map_channels: int,
        widths: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        head: int,
        groups: int,
        hidden: int,
    ) -> None:
        super().__init__()
        base, last = widths[0], widths[-1]
        self.base = base

        def plain(i: int, o: int, resize: str | None = None) -> GuidedBlock:
            return GuidedBlock(spatial_dims, i, o, 4 * base, groups, modulated=True, resize=resize)

        def steered(i: int, o: int, grow: bool = False) -> SpadeBlock:
            return SpadeBlock(spatial_dims, i, o, map_channels, 4 * base, groups, hidden, grow)

        def attend(width: int) -> SelfAttention:
            return SelfAttention(spatial_dims, width, width // head, groups)

        self.time1, self.time2 = nn.Linear(base, 4 * base), nn.Linear(4 * base, 4 * base)
        self.stem = conv(spatial_dims, in_channels, base)
        self.down, pushed, width = nn.ModuleList(), [base], base
        for level, wanted in enumerate(widths):
            for _ in range(blocks):
                layers = [plain(width, wanted), *([attend(wanted)] if level in attention else [])]
                self.down.append(Step(*layers))
                width = wanted
                pushed.append(width)
            if level < len(widths) - 1:
                self.down.append(Step(plain(width, width, "down")))
                pushed.append(width)
        self.middle = SpadeStep(steered(last, last), attend(last), steered(last, last))
        self.up = nn.ModuleList()
        for level in reversed(range(len(widths))):
            for i in range(blocks + 1):
                layers = [steered(width + pushed.pop(), widths[level])]
                width = widths[level]
                layers += [attend(width)] if level in attention else []
                layers += [steered(width, width, grow=True)] if level and i == blocks else []
                self.up.append(SpadeStep(*layers))
        self.norm = nn.GroupNorm(groups, base)
        self.out = conv(spatial_dims, base, out_channels)
        zero(self.out)

    def encode(self, x: Tensor, t: Tensor) -> tuple[list[Tensor], Tensor]:
        """What the way down hands on, from fine to coarse, and the embedded times; neither knows of any map."""
        time = self.time2(F.silu(self.time1(time_features(t, self.base).to(x.dtype))))
        found = [self.stem(x)]
        for step in self.down:
            found.append(step(found[-1], time))
        return found, time

    def forward(self, x: Tensor, label_map: Tensor, t: Tensor) -> Tensor:
        """(B, i, *S), one-hot (B, K, *S), times (B,) -> (B, o, *S)."""
        skips, time = self.encode(x, t)
        h = self.middle(skips[-1], label_map, time)
        for step in self.up:
            h = step(torch.cat([h, skips.pop()], dim=1), label_map, time)
        return self.out(F.silu(self.norm(h)))
