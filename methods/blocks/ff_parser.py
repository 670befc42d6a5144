"""How MedSegDiff lets the mask steer the image stream: the FF-Parser and the fusion built on it (arXiv:2211.00611)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FF_WEIGHTS = ("complex", "real_full")


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of every voxel, with a scale and optionally a shift per channel."""

    def __init__(self, channels: int, bias: bool = False) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, C, *S), each voxel normalised by itself."""
        return F.layer_norm(x.movedim(1, -1), self.scale.shape, self.scale, self.shift).movedim(-1, 1)


class FFParser(nn.Module):
    """Learnt filter in the frequency domain: (B, C, *size) -> same; the identity before training.

    Every channel is multiplied by a map A over its frequencies (eq. 4 to 6 of the paper), which makes it a circular
    convolution with a kernel as large as the image, and ties the layer to that image size.

    weights: "complex" learns a complex A on the half spectrum that a real image needs; "real_full" a real A on the
    whole spectrum, of whose product only the real part is kept.
    Transforms run in float32 or better whatever the input's type: half precision has too small a range for the mean.
    """

    def __init__(self, channels: int, size: Sequence[int], weights: str = "complex") -> None:
        super().__init__()
        self.size = tuple(size)
        half = (*self.size[:-1], self.size[-1] // 2 + 1)
        # Two real maps instead of one complex: what optimisers, moving averages and weight files all know.
        self.real = nn.Parameter(torch.ones(channels, *(self.size if weights == "real_full" else half)))
        self.imaginary = nn.Parameter(torch.zeros(channels, *half)) if weights == "complex" else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *size) -> (B, C, *size), in the type of x."""
        # Eq. 4: the spectrum of every channel; eq. 5: times the learnt map; eq. 6: back to the image.
        axes = tuple(range(2, x.ndim))
        y = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.imaginary is None:
            y = torch.fft.ifftn(self.real * torch.fft.fftn(y, dim=axes, norm="ortho"), dim=axes, norm="ortho").real
        else:
            spectrum = torch.complex(self.real, self.imaginary) * torch.fft.rfftn(y, dim=axes, norm="ortho")
            y = torch.fft.irfftn(spectrum, s=self.size, dim=axes, norm="ortho")
        return y.to(x.dtype)


class Fusion(nn.Module):
    """Attention-like product of the two streams (eq. 3): (m_x, m_I), each (B, C, *size) -> (B, C, *size).

    (LN(m_I) * LN(m')) * m_I with m' the FF-Parser's output for m_x; both norms have a scale and a shift.
    """

    def __init__(self, channels: int, size: Sequence[int], weights: str = "complex") -> None:
        super().__init__()
        self.parser = FFParser(channels, size, weights)
        self.norm_mask = ChannelNorm(channels, bias=True)
        self.norm_image = ChannelNorm(channels, bias=True)

    def forward(self, mask: Tensor, image: Tensor) -> Tensor:
        """Streams of mask and image, each (B, C, *size) -> (B, C, *size), the image stream steered by the mask."""
        return self.norm_image(image) * self.norm_mask(self.parser(mask)) * image
