"""Cautions as bits, labels and filters."""

from __future__ import annotations

import numpy as np
import pytest

from engine.attribution.cautions import (
    Caution,
    cautions_in,
    counted,
    parse_cautions,
)
from models.errors import ConfigurationError

BITS = np.array([0, 2, 34, 1, 128], dtype=np.uint16)


def test_bits_and_labels_are_stable() -> None:
    assert {caution.label: int(caution) for caution in Caution} == {
        "uniform": 1,
        "edge": 2,
        "no_response": 4,
        "baselines_disagree": 8,
        "masked": 16,
        "sky_lines": 32,
        "outside_range": 64,
        "odd_baselines": 128,
    }


@pytest.mark.parametrize("caution", list(Caution))
def test_every_caution_says_what_it_means_and_what_to_do(caution: Caution) -> None:
    assert caution.meaning[0].islower()
    assert not caution.meaning.endswith(".")
    assert caution.remedy[0].isupper()
    assert caution.remedy.endswith(".")


def test_cautions_of_bits() -> None:
    assert [caution.label for caution in cautions_in(34)] == ["edge", "sky_lines"]
    assert cautions_in(1 << 15) == ()


def test_counts_by_label() -> None:
    assert counted(BITS) == (("edge", 2), ("odd_baselines", 1), ("sky_lines", 1), ("uniform", 1))
    assert counted(BITS[:1]) == ()


@pytest.mark.parametrize(
    ("wanted", "unwanted", "matching"),
    [
        (("edge",), (), [1, 2]),
        (("edge", "sky-lines"), (), [2]),
        ((), ("edge",), [0, 3, 4]),
        (("edge",), ("SKY_LINES",), [1]),
        (("any",), (), [1, 2, 3, 4]),
        ((), ("any",), [0]),
        (("any",), ("edge",), [3, 4]),
    ],
)
def test_filters(wanted: tuple[str, ...], unwanted: tuple[str, ...], matching: list[int]) -> None:
    found = parse_cautions(wanted, unwanted).matches(BITS.astype(np.int64))
    assert np.flatnonzero(found).tolist() == matching


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"--without-caution[\s\S]*got: skylines[\s\S]*sky_lines"):
        parse_cautions((), ("skylines",))
