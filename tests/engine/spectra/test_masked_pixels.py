"""What a mask drops, against counting one pixel after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from engine.spectra.masked_pixels import MaskedPixels
from engine.spectra.rows import Rows

NAMES = {0: "SOMEBADPIX", 2: "COSMIC", 31: "LAST"}


@given(
    st.sampled_from(["<i4", ">i4", ">u4", "<i8", ">i2"]).flatmap(
        lambda kind: arrays(
            kind, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(0, 2**15 - 1)
        )
    )
)
def test_counts_are_those_of_a_loop(mask: np.ndarray) -> None:
    masked = MaskedPixels.empty(len(mask) + 1)
    masked.rows(slice(0, len(mask))).add(mask, mask == 0)
    rows = Rows.empty(len(mask) + 1)
    masked.fill(rows.data, NAMES)
    for row, values in enumerate(mask.tolist()):
        assert rows["masked_pixels"][row] == sum(value != 0 for value in values)
        said = dict(each.split("=") for each in rows["masked_by"][row].split())
        by_bit = {bit: sum(value >> bit & 1 for value in values) for bit in range(16)}
        assert said == {NAMES.get(bit, f"bit{bit}"): str(n) for bit, n in by_bit.items() if n}
        counts = [int(number) for number in said.values()]
        assert counts == sorted(counts, reverse=True)
    assert (rows["masked_pixels"][-1], rows["masked_by"][-1]) == (-1, "")


def test_two_arms_add_and_the_highest_bit_of_a_signed_mask_counts() -> None:
    masked = MaskedPixels.empty(1)
    for pixels in (3, 2):
        mask = np.full((1, pixels), np.int32(-(2**31)))
        masked.add(mask, mask == 0)
    rows = Rows.empty(1)
    masked.fill(rows.data, NAMES)
    assert rows["masked_pixels"].tolist() == [5]
    assert rows["masked_by"][0] == "LAST=5"
