"""A variational autoencoder of label maps: LDSeg's label encoder and decoder with scaled latents in between."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from methods.blocks.latent import LabelDecoder, LabelEncoder, Layout
from methods.blocks.normalisation import measured_statistics


class MaskAutoencoder(nn.Module):
    """Label (B, *S) -> latents (B, `channels`, *S/f) -> class logits (B, classes, *S); the autoencoder of LSegDiff.

    The label enters as its class index. `measure` fixes what later stages rely on: the statistics of its batch
    normalisations, and the buffers `mean`, `std` (by which latents are scaled) and `bound` (their largest magnitude
    once scaled). Until then mean is 0, std 1 and bound infinite.
    """

    def __init__(
        self, spatial_dims: int, classes: int, layout: Layout, latent_size: tuple[int, ...], channels: int
    ) -> None:
        super().__init__()
        self.encoder = LabelEncoder(spatial_dims, 1, layout, latent_size, latent_channels=2 * channels, norm=None)
        self.decoder = LabelDecoder(spatial_dims, classes, layout, latent_channels=channels)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        self.register_buffer("bound", torch.tensor(torch.inf))

    def encode(self, label: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, each (B, channels, *S/f), of the latents of a label (B, *S)."""
        mu, log_var = self.encoder(label[:, None].float()).chunk(2, dim=1)
        return mu, log_var

    def scale(self, mu: Tensor) -> Tensor:
        """Latents of mean 0 and standard deviation 1 over what was measured."""
        return (mu - self.mean) / self.std

    def unscale(self, z: Tensor) -> Tensor:
        """The inverse of `scale`."""
        return z * self.std + self.mean

    def probabilities(self, mu: Tensor) -> Tensor:
        """Class probabilities (B, classes, *S) float32 of unscaled latents of any floating type."""
        return self.decoder(mu.float()).float().softmax(dim=1)

    @torch.no_grad()
    def measure(self, labels: Sequence[Tensor]) -> None:
        """Take statistics, mean, standard deviation and bound over batches of labels (B, *S).

        Statistics are taken without dropout and without noise on the latents, which in training shift the variances (Li
        et al. 2019, "Understanding the disharmony between dropout and batch normalization by variance shift"). Leaves
        the module in evaluation mode.
        """
        with measured_statistics(self):
            for label in labels:
                self.decoder(self.encode(label)[0])
        count, total, squares, low, high = 0, 0.0, 0.0, torch.inf, -torch.inf
        for label in labels:
            mu = self.encode(label)[0].double()
            count += mu.numel()
            total, squares = total + mu.sum().item(), squares + mu.square().sum().item()
            low, high = min(low, mu.min().item()), max(high, mu.max().item())
        mean = total / count
        self.mean.fill_(mean)
        # Equal latents everywhere would be scaled by their rounding error.
        self.std.fill_(max(squares / count - mean**2, 1e-12) ** 0.5)
        self.bound.copy_(self.scale(torch.tensor([low, high]).to(self.mean)).abs().max())
