"""A small release, a small model and the pieces to run one on the other, made once per session."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from engine.simulation.release import SimulationSettings, simulate_release
from engine.surveys.listing import list_release
from engine.training.reading import read_training_set
from engine.training.request import TrainingRequest
from flows.run.request import RunRequest
from models.scoring.encoder import EncoderSettings
from models.training.fit import TrainingSettings, fit
from models.weights import save_model

REPOSITORY = Path(__file__).resolve().parents[1]

# Four files and three score blocks, which end within files.
SPECTRA, PER_FILE, BLOCK_ROWS, OUTLIER_BLOCK_ROWS = 36, 9, 14, 2
# Three outliers, that is two blocks: an explanation takes a tenth of a run.
THRESHOLD = 0.07

SMALL_TRAINING = TrainingSettings(
    epochs=1,
    batch=16,
    flow_epochs=1,
    flow_transforms=1,
    flow_hidden=(8,),
    decoder_hidden=(16,),
    scan=((64, 64), (512, 256)),
    modes=2,
    mode_rounds=2,
    encoder=EncoderSettings(latents=4, channels=(8, 8), kernels=(16, 8), strides=(8, 4), heads=2, hidden=8),
    threads=1,
)


def small_release(
    directory: Path, spectra: int = SPECTRA, seed: int = 3, survey: str = "desi", per_file: int = PER_FILE
) -> Path:
    """A simulated release with an anomaly in every fifth galaxy."""
    settings = SimulationSettings(
        "sdss" if survey == "sdss" else "desi",
        spectra,
        0.2,
        seed,
        spectra_per_file=per_file,
        resolution=False,
    )
    return simulate_release(settings, directory).path


def publish_sums(folder: Path) -> None:
    """Make the checksums that a directory publishes those of its files, as a survey does that patches one."""
    (sums,) = folder.glob("redux_*.sha256sum")
    files = sorted(path for path in folder.glob("*.fits"))
    sums.write_text(
        "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    )


def small_model(directory: Path, release: Path, name: str = "small") -> Path:
    """A model that was hardly trained: its scores mean little, but they are scores."""
    request = TrainingRequest((str(release),), str(directory), name, validation=0.2, calibration=0.4)
    spectra, population = read_training_set(list_release(request.release), request)
    save_model(fit(spectra, population, SMALL_TRAINING, {}, lambda *_: None), directory)
    return directory


def small_request(release: Path, store: Path, model: Path) -> RunRequest:
    """Several blocks of either kind, explained in milliseconds; in this process."""
    return RunRequest(
        release=(str(release),),
        store=str(store),
        models=(str(model),),
        threshold=THRESHOLD,
        preset="reference-code",
        windows=(64, 512),
        baselines=2,
        block_rows=BLOCK_ROWS,
        outlier_block_rows=OUTLIER_BLOCK_ROWS,
        executor="serial",
    )


def small_options(
    store: Path | str,
    model: Path,
    executor: str = "serial",
    block_rows: int = BLOCK_ROWS,
    outlier_block_rows: int = OUTLIER_BLOCK_ROWS,
) -> list[str]:
    """The options of ``whyspec run`` that say the same as :func:`small_request`."""
    options = {
        "--store": store, "--model": model, "--threshold": THRESHOLD, "--preset": "reference-code",
        "--windows": "64,512", "--baselines": 2, "--block-rows": block_rows,
        "--outlier-block-rows": outlier_block_rows, "--executor": executor,
    }  # fmt: skip
    return [str(part) for pair in options.items() for part in pair]


def environment(**extra: str) -> dict[str, str]:
    """Of a command that is run as a process of its own, from any directory."""
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": "1",
        "WHYSPEC_THREADS": "1",
        "COLUMNS": "200",
        "PYTHONWARNINGS": "default",
        **extra,
    }


def whyspec(*tokens: object, timeout: float = 120, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "flows.command_line", *map(str, tokens)]
    return subprocess.run(
        command, env=environment(**extra), capture_output=True, text=True, timeout=timeout, check=False
    )


def tree_bytes(root: Path) -> dict[str, bytes]:
    """Every file below a directory with its bytes."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }
