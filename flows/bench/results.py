"""Results of the occlusion benchmark, and their JSON.

The JSON is one object, the fields of :class:`OcclusionBench` by their names; a nested result is an
object of its dataclass's fields, a tuple is an array, None is null. ``schema`` is raised when a field
changes its meaning or goes. Seconds are wall-clock, sizes bytes, widths pixels::

    {
      "schema": 1,
      "model": "desi-galaxy", "pixels": 7781, "redshift": 0.2, "masked_pixels": 0,
      "repeats": 5,
      "machine": {"processor": ..., "cores": 2, "threads": 2, "device": "cpu", ...},
      "rates": {"multiply_adds_per_second": ..., "bytes_per_second": ..., ...},
      "dense_batches": [{"batch": 1, "seconds": ...}, ...],
      "captum_batches": [{"batch": 1, "seconds": ...}, ...],
      "cases": [
        {"preset": "paper", "baselines": 8, "windows": [1, 4, ...], "window_count": 46686,
         "measurements": [
           {"approach": "published", "what": ..., "batch": 1, "extrapolated": true,
            "forwards_measured": 65, "forwards_total": 373496,
            "measured_seconds": [...], "seconds": ..., "median_seconds": ..., "core_minutes": ...,
            "pasted_per_core_second": ..., "peak_bytes": ..., "budget_bytes": null}, ...],
         "ratios": {"published": {"dense": 27.1, ...}, ...},
         "limit": {"multiply_adds": ..., "bytes_moved": ..., "arithmetic_seconds": ...,
                   "traffic_seconds": ..., "seconds": ..., "distance": ...}}, ...],
      "skipped": [{"approach": "captum", "reason": ..., "remedy": ...}],
      "rounding": [{"preset": "paper", "window": 1, "compared": 128, "standard_deviation": ...,
                    "seams": ..., "dense": ...}, ...],
      "curves": [{"name": "baselines", "preset": "paper", "baselines": null, "spectra": 1,
                  "windows": [...], "points": [{"x": 1, "seconds": ..., "median_seconds": ...}]}, ...]
    }
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.attribution.occlusion.cost import Cost
from engine.attribution.occlusion.settings import PresetName
from flows.bench.accuracy import Rounding
from flows.bench.approaches import Approach, Skipped, TriedBatch
from flows.bench.devices import Machine
from flows.bench.rates import Rates
from flows.bench.timing import Timing

SCHEMA = 1


@dataclass(frozen=True)
class Measurement:
    """One approach to one spectrum.

    Attributes
    ----------
    approach : its name.
    what : the model and how it was run.
    batch : spectra per call of the model; None where it is not called for every window.
    extrapolated : whether only a sample of windows was run.
    forwards_measured, forwards_total : forward passes of the sample and of the whole explanation;
        None where all was run.
    measured_seconds : of each run of the sample, or of the whole.
    seconds, median_seconds : of the whole explanation of one spectrum, from the quickest and from
        the median run: times forwards_total / forwards_measured if extrapolated.
    core_minutes : seconds times threads, in minutes.
    pasted_per_core_second : spectra that the whole explanation evaluates, baselines with a window pasted into
        them and baselines alone, over seconds times threads.
    peak_bytes : peak memory above what was in use before; None if unknown.
    budget_bytes : memory that the approach plans for; None if it plans none.
    """

    approach: str
    what: str
    batch: int | None
    extrapolated: bool
    forwards_measured: int | None
    forwards_total: int | None
    measured_seconds: tuple[float, ...]
    seconds: float
    median_seconds: float
    core_minutes: float
    pasted_per_core_second: float
    peak_bytes: int | None
    budget_bytes: int | None


@dataclass(frozen=True)
class Limit:
    """Lower limit of the seams' time: the device at its rates, doing products alone or copies alone.

    Attributes
    ----------
    multiply_adds, bytes_moved : what :meth:`SeamOccluder.cost` counts.
    arithmetic_seconds, traffic_seconds : of each at the device's measured rates.
    seconds : the larger.
    distance : seconds measured over this.
    """

    multiply_adds: int
    bytes_moved: int
    arithmetic_seconds: float
    traffic_seconds: float
    seconds: float
    distance: float


@dataclass(frozen=True)
class Case:
    """One preset with one number of baselines.

    Attributes
    ----------
    preset, baselines, windows : the settings; widths in pixels.
    window_count : windows of all widths per baseline.
    measurements : one per approach, slowest first as they are listed in the documentation.
    ratios : of seconds, by names of approaches: ``ratios[a][b]`` is how much longer a takes than b.
    limit : of the seams.
    """

    preset: PresetName
    baselines: int
    windows: tuple[int, ...]
    window_count: int
    measurements: tuple[Measurement, ...]
    ratios: dict[str, dict[str, float]]
    limit: Limit


@dataclass(frozen=True)
class CurvePoint:
    """Seconds of the quickest and of the median run at one place of a curve."""

    x: int
    seconds: float
    median_seconds: float


CurveName = Literal["spectra", "baselines", "wide windows"]


@dataclass(frozen=True)
class Curve:
    """How the seconds of occlusion by seams grow.

    Attributes
    ----------
    name : what grows: spectra, baselines, or the number of widths.
    preset : the windows' layout.
    spectra, baselines : how many; None for what grows.
    windows : widths in pixels; the first x of them where they grow.
    points : in order.
    """

    name: CurveName
    preset: PresetName
    spectra: int | None
    baselines: int | None
    windows: tuple[int, ...]
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class OcclusionBench:
    """All results of one benchmark; the module's text shows their JSON.

    Attributes
    ----------
    schema : version of the JSON.
    model, pixels, redshift, masked_pixels : the scoring model, its grid, and the spectrum.
    repeats : runs of everything that is timed, one more not counted.
    machine, rates : where it ran, and what that can do.
    dense_batches, captum_batches : batches that were tried.
    cases : one per preset and number of baselines.
    skipped : approaches that were not measured.
    rounding : one per preset and width.
    curves : empty unless asked for.
    """

    schema: int
    model: str
    pixels: int
    redshift: float
    masked_pixels: int
    repeats: int
    machine: Machine
    rates: Rates
    dense_batches: tuple[TriedBatch, ...]
    captum_batches: tuple[TriedBatch, ...]
    cases: tuple[Case, ...]
    skipped: tuple[Skipped, ...]
    rounding: tuple[Rounding, ...]
    curves: tuple[Curve, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON-ready form."""
        return asdict(self)


def measurement(
    approach: Approach, timing: Timing, forwards: int | None, forwards_total: int, threads: int
) -> Measurement:
    """The result of an approach whose run made ``forwards`` forward passes, or None if it did all.

    A whole explanation is ``forwards_total`` forward passes.
    """
    factor = 1.0 if forwards is None else forwards_total / forwards
    seconds = timing.minimum * factor
    return Measurement(
        approach=approach.name,
        what=approach.what,
        batch=approach.batch,
        extrapolated=forwards is not None,
        forwards_measured=forwards,
        forwards_total=None if forwards is None else forwards_total,
        measured_seconds=timing.seconds,
        seconds=seconds,
        median_seconds=timing.median * factor,
        core_minutes=seconds * threads / 60,
        pasted_per_core_second=forwards_total / (seconds * threads),
        peak_bytes=timing.peak_bytes,
        budget_bytes=approach.budget_bytes,
    )


def ratios(measurements: tuple[Measurement, ...]) -> dict[str, dict[str, float]]:
    """How much longer each approach takes than each other."""
    return {
        slow.approach: {
            quick.approach: slow.seconds / quick.seconds for quick in measurements if quick is not slow
        }
        for slow in measurements
    }


def limit(cost: Cost, rates: Rates, seconds: float) -> Limit:
    """The limit that a cost has at these rates, and how far from it ``seconds`` are."""
    arithmetic = cost.multiply_adds / rates.multiply_adds_per_second
    traffic = cost.bytes_moved / rates.bytes_per_second
    least = max(arithmetic, traffic)
    return Limit(cost.multiply_adds, cost.bytes_moved, arithmetic, traffic, least, seconds / least)
