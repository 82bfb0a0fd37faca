"""Recovery of injected anomalies by a run: how many it found, and located."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.simulation.anomalies import parse_regions
from engine.simulation.release import read_truth
from engine.store.reading import StoreView
from models.row_status import RowStatus


@dataclass(frozen=True, slots=True)
class Recovery:
    """Of one kind of anomaly: how many were injected, scored, found and located.

    Attributes
    ----------
    kind : of the anomaly; empty for spectra without one.
    injected : targets that carry it.
    scored : of these, those that the model could score.
    found : of these, those selected as outliers.
    located : of these, those whose first place overlaps an injected region.
    chance : expected number located if each of these places had its middle on a pixel at random.
    strength : median significance of what was injected, in sigma; NaN where nothing was.
    """

    kind: str
    injected: int
    scored: int
    found: int
    located: int
    chance: float
    strength: float


def recovery(store: str, truth: Path) -> tuple[Recovery, ...]:
    """Compare a store with the truth of the simulated release it was made from.

    One entry per kind of anomaly, in alphabetical order, spectra without one first.
    """
    view = StoreView.open(store)
    spectra = view.table(["source", "source_row", "status", "outlier", "superseded"])
    spectra = spectra[~spectra["superseded"]]
    explained = view.latest_explanations()
    outliers = explained["outlier"].to_dict()
    middles, widths = view.read("outliers/place_wavelength"), view.read("outliers/place_width")
    rows = {
        (Path(source).name, int(row)): number
        for number, source, row in zip(spectra.index, spectra["source"], spectra["source_row"], strict=True)
    }
    counts: dict[str, list[float]] = {}
    strengths: dict[str, list[float]] = {}
    wavelength = view.wavelength
    for injected in read_truth(truth):
        if injected["row_kind"] != "target":
            continue
        kind = str(injected["anomaly"])
        count = counts.setdefault(kind, [0, 0, 0, 0, 0])
        count[0] += 1
        strengths.setdefault(kind, []).append(float(str(injected["strength"])))
        number = rows.get((Path(str(injected["file"])).name, int(injected["row"])))
        if number is None or spectra.at[number, "status"] != RowStatus.SCORED:
            continue
        count[1] += 1
        if not spectra.at[number, "outlier"]:
            continue
        count[2] += 1
        if not kind or number not in explained.index:
            continue
        at = int(np.searchsorted(view.outlier_numbers, outliers[number]))
        place, width = middles[at, 0], widths[at, 0]
        regions = parse_regions(str(injected["regions"]))
        count[3] += _is_inside(place, width, regions)
        count[4] += float(np.mean([_is_inside(pixel, width, regions) for pixel in wavelength[::16]]))
    return tuple(
        Recovery(
            kind,
            int(injected),
            int(scored),
            int(found),
            int(located),
            chance,
            float(np.median(strengths[kind])),
        )
        for kind, (injected, scored, found, located, chance) in sorted(counts.items())
    )


def _is_inside(middle: float, width: float, regions: tuple[tuple[float, float], ...]) -> bool:
    """Whether a place, NaN for none, overlaps one of ``regions``."""
    return any(low - width / 2 <= middle <= high + width / 2 for low, high in regions)
