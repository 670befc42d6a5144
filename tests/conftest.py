import os

# Set before torch is imported: processes that test side by side, and the runs they start, get one thread each. More
# threads than cores make PyTorch many times slower.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"


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
