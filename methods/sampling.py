"""How a generative method is asked to sample: words and numbers, which need no library of networks."""

from dataclasses import dataclass

SAMPLERS = ("ddpm", "ddim", "dpm_solver++")


@dataclass(frozen=True)
class Sampling:
    """How a generative method draws its segmentation. Deterministic methods ignore it.

    steps:    number of grid points from T-1 down to 0, both ends included (LDSeg paper), at least 2.
    sampler:  "ddim" (eta 0), "ddpm" (ancestral, eta 1) or "dpm_solver++" (second order, deterministic).
    eta:      None for the sampler's own value, else the stochasticity of DDIM (Song et al. 2021, eq. 16), in [0, 1];
              dpm_solver++ has none.
    ensemble: number of samples whose probabilities are averaged.
    seed:     enters the seed of every case's generator, so that repeated runs with other seeds differ.
    """

    steps: int = 2
    sampler: str = "ddim"
    eta: float | None = None
    ensemble: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ValueError(
                f"sampling.steps is {self.steps}, expected 2 or more: the grid holds both ends (T-1 and 0), "
                "and one point alone would decode pure noise."
            )
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampling.sampler is {self.sampler!r}, expected one of {', '.join(SAMPLERS)}.")
        if self.eta is not None and not 0 <= self.eta <= 1:
            raise ValueError(f"sampling.eta is {self.eta}, expected null or a number from 0 to 1.")
        if self.eta and self.sampler == "dpm_solver++":
            raise ValueError(f"sampling.eta is {self.eta}, but dpm_solver++ draws no noise: leave it null.")
        if self.ensemble < 1:
            raise ValueError(f"sampling.ensemble is {self.ensemble}, expected 1 or more.")

    @property
    def stochasticity(self) -> float:
        """eta as used: the one given, else 1 for ddpm and 0 for the others."""
        return self.eta if self.eta is not None else float(self.sampler == "ddpm")
