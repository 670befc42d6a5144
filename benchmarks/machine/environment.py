"""The machine and the libraries a trial was trained with, as its report prints them."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil
import torch


def environment(device: torch.device) -> dict:
    """Where a trial was trained, as the report prints it."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "monai": version("monai"),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": name,
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
