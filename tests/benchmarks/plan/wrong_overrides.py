"""Overrides of the wrong form for every leaf of the configuration: each is refused by name, or means something.

python -m tests.benchmarks.plan.wrong_overrides 500     # so many of them; status 1 where anything else was raised
"""

import argparse
import random
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

from benchmarks.errors import BadInput
from benchmarks.kinds import registry
from benchmarks.plan.configuration import configure, plain
from benchmarks.store.results import Store

WRONG = (
    "null",
    "3",
    "-1",
    "0.5",
    "64",
    "[a,b]",
    "[]",
    "[[1]]",
    "{a: b}",
    "words",
    "true",
    "nan",
    "1e400",
    "os.mkdir",
    '""',
)
BASE = ["profile=tiny", "tracking=none", "device=cpu", "datasets=[phantom_glands]"]
SUITES = {
    "noise_robustness": ["methods=[resunet]"],
    "accuracy": ["methods=[ldseg]"],
    "corruptions": ["methods=[unet]"],
    "uncertainty": ["methods=[ldseg]"],
    "sampling_steps": ["methods=[sdf_ddpm]"],
    "image_size": ["methods=[resunet]"],
    "data_overview": [],
}
"""Suites of several kinds, with what keeps their plans small."""
USED = ("method.ldseg.", "method.resunet.", "dataset.phantom_glands.", "suite.", "profile.", "training.", "noise.")
"""Where a wrong value matters to these suites."""
ELSEWHERE = ("paths.", "hydra.")


def leaves(node: object, prefix: str = "") -> list[str]:
    """Full names of all keys, settings that hold others among them."""
    if not isinstance(node, dict):
        return []
    return [name for key, value in node.items() for name in (f"{prefix}{key}", *leaves(value, f"{prefix}{key}."))]


def attempt(words: list[str], runs: str) -> str:
    """What came of a command up to its plan: works, refused, or what should not have happened, in words."""
    try:
        config, kind = registry.checked([*words, f"paths.runs={runs}"])
        kind.left(config, Store(Path(runs)))
        return "works"
    except BadInput as error:
        key = words[-1].partition("=")[0].lstrip("+")
        known = any(part in str(error) for part in (key, key.rpartition(".")[2], key.partition(".")[0]))
        return "refused" if known and str(error) else f"unnamed: {error}"
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"foreign: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {str(error)[:100]}"


def main(words: list[str]) -> int:
    """Tries so many overrides; prints what came of them and gives 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(words)
    warnings.simplefilter("ignore")
    draw, outcomes = random.Random(asked.seed), Counter()
    bases = {suite: [f"suite={suite}", *BASE, *more] for suite, more in sorted(SUITES.items())}
    known = {suite: leaves(plain(configure(base))) for suite, base in bases.items()}
    with tempfile.TemporaryDirectory() as runs:
        for _ in range(asked.count):
            suite = draw.choice(sorted(SUITES))
            base, keys = bases[suite], [key for key in known[suite] if not key.startswith(ELSEWHERE)]
            near = [key for key in keys if key.startswith(USED)]
            key = draw.choice(near if draw.random() < 0.7 else keys)
            override = f"{key}={draw.choice(WRONG)}"
            outcome = attempt([*base, override], runs)
            outcomes[outcome.partition(":")[0]] += 1
            if outcome not in ("works", "refused"):
                print(f"suite={suite} {override}: {outcome}", flush=True)
            if sum(outcomes.values()) % 50 == 0:
                print(dict(outcomes), flush=True)
    wrong = sum(outcomes.values()) - outcomes["works"] - outcomes["refused"]
    print(f"{asked.count} overrides, {dict(outcomes)}; {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
