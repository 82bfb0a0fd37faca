"""Errors of pixels: what an encoder sees, and that no unit of flux matters."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from models.pixel_errors import LARGEST_ERROR, depth_of, seen

ERRORS = torch.tensor([[0.5, 1.0, 1.0, 2.0, 0.99 * LARGEST_ERROR, 1.01 * LARGEST_ERROR, torch.inf]])


@given(st.floats(1e-6, 1e6))
def test_errors_count_against_their_median_whatever_their_unit(unit: float) -> None:
    errors = ERRORS.double()
    errors[0, 3] = 1.0  # the median of six
    ivar = (unit * errors) ** -2
    assert torch.equal(seen(ivar) > 0, torch.tensor([[True] * 5 + [False] * 2]))
    torch.testing.assert_close(seen(ivar)[0, :5], ivar[0, :5])


def test_depth_ignores_masked_pixels() -> None:
    ivar = torch.tensor([[4.0, 0.0, 16.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    assert depth_of(ivar).tolist() == [3.0, 1.0]
    assert not seen(ivar[1:]).any()
