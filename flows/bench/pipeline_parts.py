"""Parts of a run, measured without the run: decoding, scoring, explaining.

As many processes as the run has workers measure at the same time, since cores that work share caches,
memory and clock. No Prefect, no Ray, no store.
"""

from __future__ import annotations

from statistics import fmean

from flows.bench.worker_processes import in_processes
from flows.run.part_seconds import PartSeconds, PartsRequest, measured_parts


def measure_parts(requests: tuple[PartsRequest, ...]) -> PartSeconds:
    """Measure in one process per request, all at the same time; the mean over processes."""
    found = [each.seconds for each in in_processes(measured_parts, requests)]
    return PartSeconds(
        spectra=sum(one.spectra for one in found),
        decode=fmean(one.decode for one in found),
        normalise=fmean(one.normalise for one in found),
        score=fmean(one.score for one in found),
        explain=fmean(one.explain for one in found),
    )
