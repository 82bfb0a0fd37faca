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
    located : of these, those whose attribution peaks within an injected region widened by half the
        window that contributes most at the peak.
    chance : expected number located if each peak fell on a good pixel at random.
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
    explained = view.outliers_table(()).set_index("row")
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
        peak = float(str(explained.at[number, "peak_wavelength"]))
        window = int(str(explained.at[number, "peak_window"]))
        regions = parse_regions(str(injected["regions"]))
        count[3] += _is_inside(peak, window, regions, wavelength)
        count[4] += float(
            np.mean([_is_inside(pixel, window, regions, wavelength) for pixel in wavelength[::16]])
        )
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


def _is_inside(
    peak: float,
    window: int,
    regions: tuple[tuple[float, float], ...],
    wavelength: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> bool:
    if not np.isfinite(peak):
        return False
    pixel = int(np.abs(wavelength - peak).argmin())
    step = float(wavelength[min(pixel + 1, len(wavelength) - 1)] - wavelength[max(pixel - 1, 0)]) / 2
    margin = step * window / 2
    return any(low - margin <= peak <= high + margin for low, high in regions)
