import gc
import os
from pathlib import Path

# Set before torch is imported: processes that test side by side, and the runs they start, get one thread each. More
# threads than cores make PyTorch many times slower.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

# Modules and tests live to the end: looking through them for garbage as often as usual takes a tenth of the time.
gc.set_threshold(50_000)

FIRST = (
    "benchmarks/training/test_stopping.py",
    "test_every_suite.py",
    "test_interruptions.py",
    "docs/test_extending.py",
    "test_run_bench.py",
    "methods/diffusion/test_trained_samplers.py",
    "benchmarks/kinds/test_comparison.py",
    "contract/test_method.py",
    "reports/suites/test_accuracy_recomputed.py",
)
"""The file whose tests send signals to their own process: before all that may leave threads and handlers there. Then
files that take a minute or so, the longest first: begun at the end, one of them would run alone."""


def pytest_collection_modifyitems(items):
    """Those of `FIRST` in its order; all else as it was found."""
    root = Path(__file__).parent
    places = {root / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_addoption(parser):
    group = parser.getgroup("contract", "contract tests of methods, synthesizers and data sets (tests/contract)")
    group.addoption(
        "--method",
        metavar="NAME",
        help="test one method only: a key of conf/method/, or a class of your own as my_package.MyMethod",
    )
    group.addoption(
        "--synthesizer",
        metavar="NAME",
        help="test one method that makes images from label maps only: a key of conf/method/, or a class of your own as "
        "my_package.MySynthesizer",
    )
    group.addoption(
        "--dataset",
        metavar="NAME",
        help="test one data set only: a key of conf/dataset/, or a class of your own as my_package.MySource, "
        "which must be constructible without arguments",
    )
