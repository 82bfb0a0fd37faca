"""Traits: coordinates that part what has other causes, and titles that say what members have in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.clustering.cluster import cluster_explanations
from engine.clustering.traits import Traits
from models.causes.names import CAUSES
from tests.engine.clustering.synthetic import synthetic
from tests.engine.clustering.test_cluster_explanations import FAST, lazy


def traits(
    cause: list[str], rest: list[float], line: list[str], redshift: list[float] | None = None
) -> Traits:
    count = len(cause)
    where = np.array(rest)
    return Traits(
        cause=np.array(cause, dtype=object),
        probability=np.ones(count, np.float32),
        wavelength=where * (1 + np.array(redshift or [0.1] * count)),
        rest_wavelength=where,
        width=np.full(count, 60.0),
        sign=np.ones(count, np.int8),
        line=np.array(line, dtype=object),
    )


def test_a_title_names_cause_line_and_rest_wavelength_of_most_members() -> None:
    given = traits(
        ["broad_lines"] * 4 + ["unknown"], [6560.0, 6562.0, 6564.0, 4862.0, 5000.0], ["Hα"] * 3 + ["Hβ", ""]
    )
    assert given.title(np.arange(5)) == "broad lines near Hα, rest 6,562 Å; 3 of 5"
    assert given.title(np.array([4])) == "unknown cause, rest 5,000 Å; 1 of 1"


def test_without_a_line_the_frame_in_which_places_agree_is_told() -> None:
    redshift = [0.0, 0.1, 0.2, 0.3]
    rest = [5577.0 / (1 + z) for z in redshift]
    given = traits(["sky_residuals"] * 4, rest, [""] * 4, redshift)
    assert given.title(np.arange(4)) == "sky residuals, at 5,577 Å; 4 of 4"
    given = traits(["sky_residuals"] * 4, [5577.0] * 4, [""] * 4, redshift)
    assert given.title(np.arange(4)) == "sky residuals, rest 5,577 Å; 4 of 4"


def test_places_apart_or_missing_are_not_in_common() -> None:
    given = traits(["", "", "arm_step"], [4000.0, np.nan, 6000.0], ["", "", ""])
    assert given.title(np.arange(3)) == "unknown cause, no place in common; 2 of 3"
    given = traits(["arm_step"] * 3, [4000.0, 5000.0, 6000.0], ["Hα", "Hβ", "Hγ"], [0.1, 0.2, 0.05])
    assert given.title(np.arange(3)) == "arm step, no place in common; 3 of 3"


def test_what_is_not_known_has_coordinates_all_the_same() -> None:
    given = traits(["", "arm_step"], [np.nan, 5000.0], ["", ""])
    given = replace(given, probability=np.array([np.nan, 0.5]), sign=np.array([0, -1], np.int8))
    found = given.coordinates
    assert found.shape == (2, len(CAUSES) + 3)
    assert not found[0].any()
    assert found[1, CAUSES.index("arm_step")] == 0.25
    assert found[1, -2] == -0.25


@pytest.mark.parametrize("apart", [False, True])
def test_equal_maps_of_different_causes_are_different_clusters(apart: bool) -> None:
    found = synthetic(60, groups=1)
    second = np.arange(60) % 2 == 1
    cause = np.where(second & apart, "single_pixels", "broad_lines")
    given = traits(list(cause), [5000.0] * 60, [""] * 60)
    clustering = cluster_explanations(
        replace(lazy(found), traits=given.coordinates), replace(FAST, clusters=2)
    )
    shared = [set(clustering.labels[second]), set(clustering.labels[~second])]
    assert (shared[0] & shared[1] == set()) is apart
