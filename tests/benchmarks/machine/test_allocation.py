"""Memory that is freed stays with the process: a second feature map costs no page faults."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FAULTS = """
import resource, sys
from benchmarks.machine.allocation import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
import torch
x = torch.ones(48 * 2**18)  # 48 MiB, which glibc maps anew each time
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    y = x + 1
    del y
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_memory_is_handed_out_again_without_page_faults():
    def faults(how):
        words = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert faults("kept") < 100 < faults("as it was")
