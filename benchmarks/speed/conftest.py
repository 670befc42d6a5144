"""Device and networks of the speed cases: pytest benchmarks/speed --benchmark-only"""

import pytest
import torch

from benchmarks.environment import environment


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def timed(benchmark, device):
    """Time a call without arguments: two calls to warm up, then `rounds` timed ones, each until the device is done."""

    def run(call, rounds):
        def synchronised():
            call()
            if device.type == "cuda":
                torch.cuda.synchronize()

        benchmark.extra_info |= environment(device)
        benchmark.pedantic(synchronised, rounds=rounds, warmup_rounds=2)

    return run
