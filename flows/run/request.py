"""Request and summary of a run. Plain data: Prefect shows it and passes it on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from engine.attribution.baselines import BaselineSource
from engine.attribution.occlusion.settings import CombinationName, PresetName, Spacing
from engine.spectra.source_file import RefusedFile
from flows.run.class_summary import ClassSummary, RunWarning
from models.credentials import refuse_credentials

ExecutorName = Literal["ray", "serial"]


@dataclass(frozen=True)
class RunRequest:
    """What is asked of a run. ``None``: as the store has it; for a new store, the default.

    Attributes
    ----------
    release : one directory, or one or more files of spectra; paths or fsspec URLs.
    store : path or URL of the store, made if there is none.
    layout : name of the release's layout; recognised when empty.
    models : name or directory of each scoring model.
    threshold : tail probability at or below which a spectrum is an outlier.
    classes : spectral classes to score, see :func:`engine.store.routing.assigned`; empty for all.
    targets : path of a table that names the spectra to read; empty for all. redshifts : path of a table of
        redshifts that go before the pipeline's; empty for none. These two are not the store's when left out.
    class_of : class of the spectra without one in ``redshifts``; None as the store has it, else the
        pipeline's.
    method : name of the method that explains, see :data:`engine.attribution.methods.METHODS`; settings : its
        settings by name, as values or as texts.
    preset : of the occlusion, stands for the three that follow; those that are given too have precedence.
    baseline_source, spacing, combination, windows, offsets, baselines, seed : of the occlusion, see
        :class:`engine.attribution.occlusion.settings.OcclusionSettings`.
    block_rows, outlier_block_rows : spectra per block of each kind.
    executor : ``"ray"``, or ``"serial"`` for this process alone.
    workers : processes; 0 as in the settings.
    explain_top : so many of the store's oddest outliers have an explanation after the run; 0 to explain
        none now, None for all. Those without one wait for a later run.
    check_data : whether new files are compared with their DATASUMs before anything else is done.
    wait : seconds to wait for another run on the store to end.

    Raises
    ------
    InputError : a path, URL or setting holds credentials, which Prefect would show.
    """

    release: tuple[str, ...]
    store: str
    layout: str = ""
    models: tuple[str, ...] | None = None
    threshold: float | None = None
    classes: tuple[str, ...] | None = None
    targets: str = ""
    redshifts: str = ""
    class_of: str | None = None
    method: str | None = None
    settings: dict[str, Any] | None = None
    preset: PresetName | None = None
    baseline_source: BaselineSource | None = None
    spacing: Spacing | None = None
    combination: CombinationName | None = None
    windows: tuple[int, ...] | None = None
    offsets: tuple[int, ...] | None = None
    baselines: int | None = None
    seed: int | None = None
    block_rows: int | None = None
    outlier_block_rows: int | None = None
    executor: ExecutorName = "ray"
    workers: int = 0
    explain_top: int | None = None
    check_data: bool = False
    wait: float = 0.0

    def __post_init__(self) -> None:
        settings = map(str, (self.settings or {}).values())
        refuse_credentials(*self.release, self.store, *(self.models or ()), *settings)
        # Workers may run in another directory than the one this path was typed in.
        if "://" not in self.store:
            object.__setattr__(self, "store", str(Path(self.store).absolute()))


@dataclass(frozen=True)
class RunSummary:
    """The summary of a run.

    Attributes
    ----------
    store : URL of the store.
    files_new, files_changed, files_unchanged, files_unfinished, files_gone, files_refused : source files
        against the store's ledger; new includes those that could not be read before. All but those that
        are gone, with those skipped, are what the release names.
    skipped : files that the release names and that are not there, or whose spectra are in another
        file; nothing is wrong with these.
    quarantined : files that could not be used, with the reason. A file that was listed and could not be read
        is in here and counted in its state too.
    spectra : spectra that this run processed.
    status_counts : (status label, count) of these spectra, sorted by label.
    classes : how these spectra fared, by class; warnings : what the user should know of that.
    outliers : of these spectra, those at or below the threshold.
    false_discovery_rate : share of these outliers that chance may have made, at most; None without any.
    explained : outliers that this run explained.
    caution_counts : (caution label, explanations of this run that carry it), sorted by label.
    remark_counts : (label of a remark on exposures, spectra of this run that carry it), sorted by label.
    store_spectra, store_outliers : in the store after the run, superseded ones included.
    store_waiting : of its outliers that are not superseded, those without an explanation.
    seconds : wall time.
    """

    store: str
    files_new: int
    files_changed: int
    files_unchanged: int
    files_unfinished: int
    files_gone: int
    files_refused: int
    skipped: tuple[RefusedFile, ...]
    quarantined: tuple[RefusedFile, ...]
    spectra: int
    status_counts: tuple[tuple[str, int], ...]
    classes: tuple[ClassSummary, ...]
    warnings: tuple[RunWarning, ...]
    outliers: int
    false_discovery_rate: float | None
    explained: int
    caution_counts: tuple[tuple[str, int], ...]
    remark_counts: tuple[tuple[str, int], ...]
    store_spectra: int
    store_outliers: int
    store_waiting: int
    seconds: float

    @property
    def did_something(self) -> bool:
        """Whether any block was run."""
        return self.spectra > 0 or self.explained > 0

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        description = asdict(self)
        description["status_counts"] = dict(self.status_counts)
        description["caution_counts"] = dict(self.caution_counts)
        description["remark_counts"] = dict(self.remark_counts)
        description["skipped"] = [asdict(file) for file in self.skipped]
        description["quarantined"] = [asdict(file) for file in self.quarantined]
        return description
