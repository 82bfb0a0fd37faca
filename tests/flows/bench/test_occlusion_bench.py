"""The occlusion benchmark: its arithmetic and what it says, not its speeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.attribution.occlusion.cost import Cost
from engine.attribution.occlusion.method import forward_passes
from engine.attribution.occlusion.settings import of_preset
from engine.attribution.occlusion.windows import dense_scales
from flows.bench.approaches import Approach, Skipped, best_batches, try_batches
from flows.bench.curves import curves_figure
from flows.bench.devices import usable_device
from flows.bench.memory import PeakMemory
from flows.bench.occlusion import BenchSettings, bench_occlusion
from flows.bench.rates import Rates
from flows.bench.results import Curve, CurvePoint, OcclusionBench, limit, measurement, ratios
from flows.bench.subject import Subjects, sampled
from flows.bench.timing import Timing
from models.errors import ConfigurationError
from models.scoring.scoring_model import ScoringModel

CPU = torch.device("cpu")
SMALL = BenchSettings(
    presets=("reference-code",), baselines=(1, 3), windows=(128, 512), repeats=2, sample=3, skip=("captum",)
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other are slow where others use the cores too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


_DONE: dict[str, OcclusionBench] = {}


@pytest.fixture
def bench(tiny_model: ScoringModel) -> OcclusionBench:
    """Measured once for all tests; the model's fixture lives only for one."""
    if not _DONE:
        said: list[str] = []
        _DONE["small"] = bench_occlusion(tiny_model, SMALL, CPU, said.append)
        assert any("run 2 of 2" in text for text in said)
    return _DONE["small"]


def test_a_small_benchmark_is_consistent_in_itself(bench: OcclusionBench) -> None:
    assert json.loads(json.dumps(bench.to_dict(), allow_nan=False))["schema"] == 1
    assert [(case.preset, case.baselines) for case in bench.cases] == [
        ("reference-code", 1),
        ("reference-code", 3),
    ]
    assert (bench.pixels, bench.masked_pixels, bench.curves) == (7781, 0, ())
    for case in bench.cases:
        settings = of_preset("reference-code", windows=case.windows, baselines=case.baselines)
        total = forward_passes(settings, bench.pixels)
        assert total == case.baselines * (1 + case.window_count)
        for one in case.measurements:
            assert len(one.measured_seconds) == bench.repeats
            assert one.core_minutes == pytest.approx(one.seconds * bench.machine.threads / 60)
            assert one.pasted_per_core_second == pytest.approx(total / one.seconds / bench.machine.threads)
            if one.extrapolated:
                assert one.forwards_total == total
                share = one.forwards_measured / total
                assert min(one.measured_seconds) == pytest.approx(one.seconds * share)
                assert one.seconds <= one.median_seconds
        names = [one.approach for one in case.measurements]
        assert names[-3:] == ["dense", "dense-best-batch", "seams"]
        assert case.measurements[-2].seconds <= case.measurements[-3].seconds
        assert [one.extrapolated for one in case.measurements[-3:]] == [True, True, False]
        seconds = {one.approach: one.seconds for one in case.measurements}
        for slow, others in case.ratios.items():
            assert set(others) == set(names) - {slow}
            for quick, ratio in others.items():
                assert ratio == pytest.approx(seconds[slow] / seconds[quick])
        assert case.limit.distance == pytest.approx(seconds["seams"] / case.limit.seconds)
        assert case.limit.multiply_adds > 0 < case.limit.bytes_moved
    assert bench.cases[1].limit.multiply_adds > bench.cases[0].limit.multiply_adds


def test_what_was_left_out_is_said(bench: OcclusionBench) -> None:
    skipped = {one.approach: one for one in bench.skipped}
    assert "--skip captum" in skipped["captum"].reason
    assert bench.captum_batches == ()


def test_float32_seams_are_compared_with_float64_passes(bench: OcclusionBench) -> None:
    assert [one.window for one in bench.rounding] == [128, 512]
    for one in bench.rounding:
        assert one.standard_deviation > 0
        assert one.seams is not None
        assert one.seams < 1e-3
        assert one.dense is not None
        assert one.dense < 0.1


def test_the_published_loop_makes_one_forward_per_window(tiny_model: ScoringModel) -> None:
    pytest.importorskip("spender", exc_type=ImportError)
    from flows.bench.published import published

    subjects = Subjects(tiny_model, CPU, masked=0.0)
    subject = subjects.subject(0)
    scales = subjects.scales(subject, "reference-code", (512,))
    ready = published(subjects, subject, scales, 3, None)
    assert isinstance(ready, Approach)
    assert ready.run() == 1 + 3
    assert "random flow weights" in ready.what


def test_captum_occludes_inversely(tiny_model: ScoringModel) -> None:
    pytest.importorskip("captum")
    from flows.bench.ablation import captum
    from flows.bench.approaches import TriedBatch

    subjects = Subjects(tiny_model, CPU, masked=0.0)
    ready = captum(subjects, subjects.subject(0), 700, 3, (TriedBatch(2, 1.0),))
    assert isinstance(ready, Approach)
    # Twelve windows side by side, of which the last is what is left, and the baseline itself.
    assert ready.run() == 12 + 1


def test_a_missing_package_is_a_result_with_a_remedy(
    tiny_model: ScoringModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.bench import approaches
    from flows.bench.ablation import captum_batches
    from flows.bench.published import published

    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(approaches.importlib, "import_module", missing)
    subjects = Subjects(tiny_model, CPU, masked=0.0)
    subject = subjects.subject(0)
    skipped = (published(subjects, subject, [], 3, None), captum_batches(subjects, subject))
    for one, name in zip(skipped, ("published", "captum"), strict=True):
        assert isinstance(one, Skipped)
        assert one.approach == name
        assert "No module named" in one.reason
        assert "whyspec[bench]" in one.remedy


def test_extrapolation_ratios_and_limit() -> None:
    timing = Timing((3.0, 2.0, 4.0), 5)
    whole = measurement(Approach("whole", "", None, 7, lambda: None), timing, None, 100, 2)
    part = measurement(Approach("part", "", 1, None, lambda: 10), timing, 10, 100, 2)
    assert (whole.seconds, whole.median_seconds, whole.forwards_total) == (2.0, 3.0, None)
    assert (part.seconds, part.median_seconds, part.forwards_total) == (20.0, 30.0, 100)
    assert part.core_minutes == pytest.approx(20 * 2 / 60)
    # A hundred pasted spectra in 2 s or 20 s of two threads, whether they were all run or not.
    assert (whole.pasted_per_core_second, part.pasted_per_core_second) == (25.0, 2.5)
    assert ratios((whole, part)) == {"whole": {"part": 0.1}, "part": {"whole": 10.0}}
    at = limit(Cost(multiply_adds=30, bytes_moved=8), Rates(10.0, 4.0, 1, 1), 6.0)
    assert (at.arithmetic_seconds, at.traffic_seconds, at.seconds, at.distance) == (3.0, 2.0, 3.0, 2.0)


def test_a_sample_holds_every_scale_by_its_share_and_its_ends() -> None:
    scales = [*dense_scales((1, 64), 500), *dense_scales((400,), 20)]
    samples = sampled(scales, 102)
    assert [len(one) for one in samples] == [50, 50, 2]
    for scale, sample in zip(scales, samples, strict=True):
        assert sample.start[0] == scale.start[0]
        assert sample.stop[-1] == scale.stop[-1]
        assert {*zip(sample.start, sample.stop, strict=True)} <= {*zip(scale.start, scale.stop, strict=True)}
    assert [len(one) for one in sampled(scales, 10_000)] == [500, 500, 20]


def test_masks_come_in_runs_and_make_windows_fewer(tiny_model: ScoringModel) -> None:
    subjects = Subjects(tiny_model, CPU, masked=0.25)
    subject = subjects.subject(0)
    share = 1 - float(subject.good.double().mean())
    assert share == pytest.approx(0.25, abs=0.08)
    assert bool(((subject.ivar > 0) == subject.good).all())
    scales = subjects.scales(subject, "paper", (1,))
    assert len(scales[0]) == int(subject.good.sum())


def test_the_best_batch_is_the_one_that_takes_least(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.bench import approaches

    def seconds(work: Callable[[], int], _: torch.device) -> float:
        size = work()
        if size > 64:
            raise torch.OutOfMemoryError
        return 1.0 + abs(size - 8) * size

    monkeypatch.setattr(approaches, "seconds_of", seconds)
    tried = try_batches(lambda size: lambda: size, lambda size: 2 * size, CPU)
    assert [one.batch for one in tried] == [1, 2, 4, 8, 16, 32, 64]
    assert tried[4].seconds == (1.0 + 8 * 16) / 32
    assert best_batches(tried, 2) == [8, 4]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is watched on Linux only")
def test_peak_memory_sees_what_is_freed_again() -> None:
    with PeakMemory(CPU) as memory:
        torch.ones(2**24).sum().item()
    assert memory.bytes is not None
    assert 2**25 < memory.bytes < 2**28


def test_a_device_that_is_not_here_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot run on this device") as caught:
        usable_device("nonsense")
    assert caught.value.where == "--device"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repeats", 0),
        ("sample", 0),
        ("masked", 1.0),
        ("skip", ("torch",)),
        ("presets", ()),
        ("baselines", ()),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        replace(SMALL, **{name: value})
    assert caught.value.where == f"--{name}"
    assert caught.value.remedy


def test_the_curves_figure_has_a_panel_per_curve(bench: OcclusionBench, tmp_path: Path) -> None:
    points = (CurvePoint(1, 0.5, 0.6), CurvePoint(2, 0.9, 1.0))
    curves = (
        Curve("spectra", "paper", None, 8, (1, 4), points),
        Curve("baselines", "paper", 1, None, (1, 4), points),
        Curve("wide windows", "paper", 1, 8, (192, 256), points),
    )
    figure = curves_figure(replace(bench, curves=curves))
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "spectra explained",
        "baselines per spectrum",
        "number of window widths beyond 128 pixels",
    ]
    figure.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
