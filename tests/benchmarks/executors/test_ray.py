"""executor=ray: what it refuses that a cluster would keep waiting for ever. tests/clusters/test_ray.py has the rest."""

import pytest

pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[cluster]'")

from benchmarks.executors.ray import fitting

NODES = [{"CPU": 4.0, "memory": 8.0}, {"CPU": 2.0, "GPU": 1.0, "memory": 16.0}]


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"CPU": 4, "GPU": 0, "memory": 8}, True),
        ({"CPU": 2, "GPU": 0.5, "memory": 16}, True),
        ({"CPU": 4, "GPU": 1, "memory": 0}, False),
        ({"CPU": 1, "GPU": 0, "memory": 17}, False),
        ({"CPU": 5, "GPU": 0, "memory": 0}, False),
    ],
)
def test_a_job_fits_where_one_machine_has_all_it_asks_for(asked, fits):
    assert fitting(asked, NODES) is fits
    assert not fitting(asked, [])
