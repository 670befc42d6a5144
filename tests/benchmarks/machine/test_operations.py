"""No method's training step or segmentation asks for more than the table says, whatever the clock of this machine."""

from dataclasses import fields

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention as attention

from benchmarks.machine import operations
from benchmarks.machine.operations import Counts, counts

SUBJECTS = operations.subjects()


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_step_and_a_segmentation_cost_no_more_than_the_table_says(name):
    known = operations.table()
    for call, found in operations.of(SUBJECTS[name]).items():
        dearer = {
            field.name: (getattr(found, field.name), getattr(known[name, call], field.name))
            for field in fields(Counts)
            if getattr(found, field.name) > (1 + operations.TOLERANCE) * getattr(known[name, call], field.name)
        }
        assert not dearer, (
            f"{call} of {name}, found and in the table: {dearer}. Where that is meant, "
            "`python -m benchmarks.machine.operations` writes the table anew."
        )


def test_the_table_holds_every_method_and_no_other():
    assert {name for name, _ in operations.table()} == set(SUBJECTS)


def test_counts_of_a_product_worked_by_hand():
    a, b = torch.ones(2, 3), torch.ones(3, 5)
    # A product of 2x3 and 3x5 matrices, 2 * 2 * 3 * 5 operations, 40 bytes; its transpose is a view.
    assert counts(lambda: (a @ b).T) == Counts(60, 2, 40)


def test_attention_is_counted_forwards_and_backwards():
    """Of scores and of what they weigh; for the gradients five products, as the scores are computed again."""
    q, k, v = (torch.rand(2, 3, tokens, 8, requires_grad=True) for tokens in (16, 20, 20))
    product = 2 * (2 * 3) * 16 * 20 * 8
    assert counts(lambda: attention(q, k, v)).arithmetic == 2 * product
    assert counts(lambda: attention(q, k, v).sum().backward()).arithmetic == 7 * product


def test_an_operation_in_place_returns_no_new_memory():
    a = torch.ones(4)
    assert counts(lambda: a.add_(1)) == Counts(0, 1, 0)
