"""Floating-point operations of a call: convolutions, matrix products and attention, a multiplication and an addition as
two; not what is done element by element, nor Fourier transforms."""

from typing import Any

import torch
from torch.utils import flop_counter


def counter() -> flop_counter.FlopCounterMode:
    """PyTorch's counter, which knows attention by the names it has on GPUs alone."""
    aten = torch.ops.aten
    return flop_counter.FlopCounterMode(
        display=False,
        custom_mapping={
            aten._scaled_dot_product_flash_attention_for_cpu: _attention,
            aten._scaled_dot_product_flash_attention_for_cpu_backward: _gradients,
        },
    )


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Shapes (batch, heads, tokens, channels)."""
    return flop_counter.sdpa_flop_count(query, key, value)


def _gradients(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return flop_counter.sdpa_backward_flop_count(gradient, query, key, value)
