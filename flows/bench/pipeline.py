"""The pipeline benchmark: a large simulated release through the true path, against its parts alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch

from engine.spectra.source_file import ReleaseListing, SourceFile
from engine.store.blocks import SourceSlice
from engine.surveys.listing import list_release
from flows.bench.devices import describe_machine
from flows.bench.pipeline_parts import measure_parts
from flows.bench.pipeline_release import pipeline_release
from flows.bench.pipeline_results import PipelineBench
from flows.bench.read_ahead import measure_read_ahead
from flows.bench.start_up import measure_start_up
from flows.bench.timed_run import timed_run
from flows.run.part_seconds import PartSeconds, PartsRequest
from flows.run.preparation import prepare
from flows.run.request import RunRequest
from infra.settings import cpu_count, load_settings
from models.weights import load_model

_SMALL = 4  # the part of the release that the smaller run takes is one in so many files
_READ_AHEAD_FILES = 4


@dataclass(frozen=True)
class PipelineSettings:
    """What the benchmark runs.

    Attributes
    ----------
    directory : where release and stores go; the release is kept and used again.
    spectra, spectra_per_file, distinct : of the release, see :func:`flows.bench.pipeline_release`.
    workers : processes; 0 for one per CPU.
    threshold : tail probability at or below which a spectrum is explained.
    windows : widths in pixels of the occlusion; None for those of a run.
    sample : files, and explained spectra, of each measurement of the parts in each process.
    delay : seconds that each request takes in the measurement of read-ahead.
    """

    directory: Path
    spectra: int = 200_000
    spectra_per_file: int = 500
    distinct: int = 4_000
    workers: int = 0
    threshold: float = 0.001
    windows: tuple[int, ...] | None = None
    sample: int = 8
    delay: float = 0.1


def bench_pipeline(settings: PipelineSettings, progress: Callable[[str], None]) -> PipelineBench:
    """Measure parts, runs on a quarter of the release and on all of it, the parts again, start, read-ahead.

    Raises
    ------
    InputError, ConfigurationError : see :func:`flows.bench.pipeline_release.pipeline_release`.
    RetryError : a run failed.
    """
    load_before = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    release = pipeline_release(
        settings.directory / "release",
        settings.spectra,
        settings.spectra_per_file,
        settings.distinct,
        progress,
    )
    workers = settings.workers or cpu_count()
    progress("list files")
    listing = list_release([str(release)])
    with TemporaryDirectory(prefix="stores-", dir=settings.directory) as stores:
        request = RunRequest(
            (str(release),),
            f"{stores}/all.zarr",
            threshold=settings.threshold,
            windows=settings.windows,
            workers=workers,
        )
        part = replace(
            request,
            release=tuple(file.url for file in listing.files[::_SMALL]),
            store=f"{stores}/part.zarr",
        )
        parts = _parts_requests(request, listing, workers, settings.sample)
        progress("measure the parts")
        before = measure_parts(parts)
        progress(f"run on {sum(file.spectra for file in listing.files[::_SMALL]):,} spectra")
        small = timed_run(part)
        progress(f"run on {listing.spectra:,} spectra")
        whole = timed_run(request)
    progress("measure the parts again")
    after = measure_parts(parts)
    progress("measure the start")
    start_up = measure_start_up(listing.files[0].url, settings.directory)
    progress("measure read-ahead")
    model = load_model(parts[0].model)
    read_ahead = measure_read_ahead(model, _spread(listing.files, _READ_AHEAD_FILES), settings.delay)
    return PipelineBench(
        model=parts[0].model,
        workers=workers,
        distinct=settings.distinct,
        parts=_mean(before, after),
        small=small,
        run=whole,
        read_ahead=read_ahead,
        start_up=start_up,
        machine=describe_machine(torch.device("cpu"), load_before),
    )


def _parts_requests(
    request: RunRequest, listing: ReleaseListing, workers: int, sample: int
) -> tuple[PartsRequest, ...]:
    """What each process measures: files of its own, spread over the release."""
    prepared = prepare(request, load_settings())
    files = _spread(listing.files, workers * sample)
    model, classes = prepared.models[0], prepared.configuration.models[0].classes
    whole = [SourceSlice(file, 0, file.spectra) for file in files]
    return tuple(
        PartsRequest(model, classes, prepared.configuration, tuple(whole[number::workers]), sample)
        for number in range(workers)
    )


def _spread(files: tuple[SourceFile, ...], count: int) -> tuple[SourceFile, ...]:
    return files[:: max(1, len(files) // count)][:count]


def _mean(first: PartSeconds, second: PartSeconds) -> PartSeconds:
    return PartSeconds(
        spectra=first.spectra + second.spectra,
        decode=fmean((first.decode, second.decode)),
        normalise=fmean((first.normalise, second.normalise)),
        score=fmean((first.score, second.score)),
        explain=fmean((first.explain, second.explain)),
    )
