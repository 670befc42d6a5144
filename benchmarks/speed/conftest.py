"""Device and networks of the speed cases: pytest benchmarks/speed --benchmark-only"""

import pytest
import torch

from benchmarks.machine.environment import environment

COSTS: dict[tuple[str, int], dict[str, float]] = {}
"""What `costs` was told, for the table at the end: (method, side of the image) -> quantity -> value."""


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def timed(benchmark, device):
    """Time a call without arguments: two calls to warm up, then `rounds` timed ones, each until the device is done.
    Returns the median of the seconds."""

    def run(call, rounds):
        def synchronised():
            call()
            if device.type == "cuda":
                torch.cuda.synchronize()

        benchmark.extra_info |= environment(device)
        benchmark.pedantic(synchronised, rounds=rounds, warmup_rounds=2)
        return benchmark.stats.stats.median

    return run


@pytest.fixture
def costs(benchmark):
    """Keep a derived quantity of a method at an image size, in the benchmark's JSON and in the table at the end."""

    def keep(method, side, quantity, value):
        benchmark.extra_info[quantity] = value
        COSTS.setdefault((method, side), {})[quantity] = value

    return keep


def pytest_terminal_summary(terminalreporter):
    if not COSTS:
        return
    quantities = list(dict.fromkeys(quantity for found in COSTS.values() for quantity in found))
    terminalreporter.section("costs by method and image size")
    terminalreporter.write_line(f"{'method':<14}{'size':>9}" + "".join(f"{name:>24}" for name in quantities))
    for (method, side), found in COSTS.items():
        cells = "".join(f"{found.get(name, float('nan')):>24.4g}" for name in quantities)
        terminalreporter.write_line(f"{method:<14}{f'{side}x{side}':>9}{cells}")
