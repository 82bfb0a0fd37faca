"""A store is the same object by object as one that an earlier version made of the same input.

``frozen_stores.json`` holds the objects and digests of two small stores. When a change of the store's content
is wanted, ``python -m tests.flows.run.test_frozen_store`` writes the file anew; say why in the changelog.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch

from engine.simulation.release import SimulationSettings, simulate_release
from flows.run.request import RunRequest
from flows.run_release import run_release
from infra.settings import Settings

FROZEN = Path(__file__).with_name("frozen_stores.json")
SURVEYS = ("desi", "sdss")


def arithmetic() -> str:
    """What decides the last digits of a result on this machine."""
    cpu = Path("/proc/cpuinfo")
    vendor = next((line for line in cpu.read_text().split("\n") if line.startswith("vendor_id")), "")
    features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    enabled = hashlib.md5(repr(sorted(k for k, on in features.items() if on)).encode()).hexdigest()  # noqa: S324
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{vendor.split()[-1]} {capability} {enabled[:8]} numpy {np.__version__} torch {torch.__version__}"


def made_store(survey: str, directory: Path) -> dict[str, bytes]:
    """Every object of a store made from ten simulated spectra.

    The release lies in memory, so that its URL, which the store keeps, is the same everywhere. Its published
    checksums, which the store keeps too, are those of names: columns that no run reads may change.
    """
    settings = SimulationSettings(survey, 10, 0.3, 3, spectra_per_file=6, resolution=False)  # type: ignore[arg-type]
    release = simulate_release(settings, directory / survey / "release").path
    for sums in release.rglob("*.sha256sum"):
        names = [line.split()[1] for line in sums.read_text().splitlines()]
        lines = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in names]
        sums.write_text("".join(lines))
    memory = fsspec.filesystem("memory")
    memory.put(str(release), f"/frozen-{survey}/", recursive=True)
    store = directory / f"{survey}.zarr"
    request = RunRequest(
        release=(f"memory://frozen-{survey}",),
        store=str(store),
        threshold=0.5,
        preset="nearest",
        windows=(64, 256),
        baselines=2,
        block_rows=8,
        outlier_block_rows=4,
        executor="serial",
    )
    try:
        run_release(request, Settings())
    finally:
        memory.rm(f"/frozen-{survey}", recursive=True)
    # Of the catalogue the documents: its files name the library that wrote them.
    derived = set(store.glob("catalogue/*"))
    paths = sorted(path for path in store.rglob("*") if path.is_file() and path not in derived)
    return {str(path.relative_to(store)): path.read_bytes() for path in paths}


def digests(objects: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.blake2b(data, digest_size=8).hexdigest() for path, data in objects.items()}


@pytest.fixture(scope="module")
def frozen() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FROZEN.read_text())
    return found


@pytest.fixture(scope="module", params=SURVEYS)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, bytes]]:
    return request.param, made_store(request.param, tmp_path_factory.mktemp("frozen"))


def test_the_objects_and_the_documents_of_arrays_are_those_of_before(
    made: tuple[str, dict[str, bytes]], frozen: dict[str, Any]
) -> None:
    survey, objects = made
    then, now = frozen["stores"][survey], digests(objects)
    if frozen["arithmetic"] == arithmetic():
        assert sorted(now) == sorted(then)
    documents = [path for path in then if path.endswith("zarr.json") and path != "zarr.json"]
    assert len(documents) > 40
    assert {path: now.get(path) for path in documents} == {path: then[path] for path in documents}


def test_every_object_has_the_bytes_of_before(
    made: tuple[str, dict[str, bytes]], frozen: dict[str, Any]
) -> None:
    if frozen["arithmetic"] != arithmetic():
        pytest.skip(f"frozen where sums are rounded otherwise: {frozen['arithmetic']}, here {arithmetic()}")
    survey, objects = made
    then, now = frozen["stores"][survey], digests(objects)
    assert [path for path in then if now.get(path) != then[path]] == []


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        stores = {survey: digests(made_store(survey, Path(place))) for survey in SURVEYS}
    FROZEN.write_text(json.dumps({"arithmetic": arithmetic(), "stores": stores}, indent=0) + "\n")
