"""What commands that compute no network load: nothing that they can do without.

`python -m benchmarks.speed.startup` has the seconds; no test looks at a clock.
"""

import pytest

from tests.commands import TINY, loaded

NETWORKS = {"torch", "monai", "lightning_fabric", "mlflow"}
TABLES = {"pandas", "pyarrow", "scipy", "matplotlib", "seaborn", "statsmodels"}


@pytest.mark.parametrize(
    "wrong",
    ["methods=[ldsge]", "suite.sigmas=[0,-1]", "training.steps=many", "device=1", "suite=noise", "trainnig.steps=3"],
)
def test_what_a_command_says_wrong_is_found_without_libraries_of_networks_tables_and_types(wrong, tmp_path):
    status, found = loaded(tmp_path, *TINY, wrong)
    assert status == 2
    assert not found & (NETWORKS | TABLES | {"pydantic", "filelock", "rich", "asyncio"})


def test_a_value_of_the_wrong_type_is_found_before_the_kinds_of_suites_are_loaded(tmp_path):
    assert "numpy" not in loaded(tmp_path, *TINY, "training.steps=many")[1]


def test_data_that_are_not_there_are_found_without_libraries_of_networks_and_tables(tmp_path):
    status, found = loaded(tmp_path, *TINY, "datasets=[glas]", f"paths.data={tmp_path}")
    assert status == 2
    assert not found & (NETWORKS | TABLES)


def test_the_list_loads_no_libraries_of_networks_and_tables(tmp_path):
    status, found = loaded(tmp_path, "action=list")
    assert status == 0
    assert not found & (NETWORKS | TABLES - {"scipy"})  # phantoms are made with it
