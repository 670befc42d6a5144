import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.seeding import generator_for, seed_for


def test_seed_depends_on_every_part_its_type_and_their_order():
    seeds = [seed_for(*p) for p in [("a", "b"), ("b", "a"), ("ab",), ("a", "b", 0), (1,), (1.0,), ("1",), (True,), ()]]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= s < 2**63 for s in seeds)


def test_seed_is_the_same_in_another_process():
    here = seed_for("noise", "patient0001_2CH_ED", 0.025, 3)
    code = "from benchmarks.seeding import seed_for; print(seed_for('noise', 'patient0001_2CH_ED', 0.025, 3))"
    root = Path(__file__).resolve().parents[2]
    there = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert int(there.stdout) == here


def test_generator_starts_afresh_each_time():
    a, b = (torch.randn(4, generator=generator_for("case", 1)) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, torch.randn(4, generator=generator_for("case", 2)))


def test_a_part_whose_text_may_vary_is_refused():
    with pytest.raises(TypeError, match="float64"):
        seed_for("case", np.float64(0.1))
