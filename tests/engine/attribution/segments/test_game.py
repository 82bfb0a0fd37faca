"""The game: coalitions as spectra, in batches that fit, and what is refused before work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.attribution.methods import METHODS, method_of
from engine.attribution.segments.exact_shapley import ExactShapleySettings
from engine.attribution.segments.game import Game, game_of
from engine.attribution.segments.kernel_shap import KernelShapSettings
from engine.attribution.segments.lime import LimeSettings
from engine.attribution.segments.minimal_set import MinimalSetSettings
from engine.attribution.segments.permutation_shapley import PermutationSettings
from engine.attribution.segments.ranked_regions import RankedRegionsSettings
from engine.attribution.segments.segmentation import segments_of
from engine.attribution.segments.settings import SegmentSettings
from engine.attribution.segments.sobol import SobolSettings
from engine.attribution.subject import Subject
from models.errors import ConfigurationError, QuarantineError
from models.scoring.scoring_model import ScoringModel
from models.spectrum_model import LogProb
from tests.engine.attribution.segments.games import OFF, Nothing, drawn, game_subject

PIXELS = 20
ON_SEGMENTS = (
    LimeSettings,
    KernelShapSettings,
    PermutationSettings,
    ExactShapleySettings,
    SobolSettings,
    MinimalSetSettings,
)


def made(memory_bytes: int = 2**28) -> tuple[Game, list[torch.Tensor]]:
    """A game whose model remembers the spectra that it is shown."""
    random = torch.Generator().manual_seed(0)
    seen: list[torch.Tensor] = []

    def log_prob(spectra: torch.Tensor) -> torch.Tensor:
        seen.append(spectra.clone())
        return -spectra.sum(dim=1)

    ivar = torch.ones(PIXELS, dtype=torch.float64)
    ivar[[3, 4]] = 0.0
    subject = Subject(torch.randn(PIXELS, generator=random), ivar, 0.1, log_prob, Nothing(), memory_bytes, 10)
    segments = segments_of(subject.flux.numpy(), subject.good.numpy(), "uniform", 4)
    replacement = torch.randn(PIXELS, generator=random, dtype=torch.float64)
    return Game(subject, segments, replacement), seen


def test_a_coalition_is_the_spectrum_where_it_is_on_and_the_replacement_elsewhere() -> None:
    game, seen = made()
    switches = torch.tensor([[1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0.25, 0, 0, 0, 0]])
    scores = game.scores_of(switches)
    (spectra,) = seen
    own, other = game.subject.flux.double(), game.replacement
    for pixel in range(PIXELS):
        segment = game.segments.of_pixel[pixel]
        if segment < 0:
            assert (spectra[:, pixel] == own[pixel]).all()  # masked: as it is
        else:
            on = switches[:3, segment] > 0
            assert torch.equal(spectra[:3, pixel], torch.where(on, own[pixel], other[pixel]))
    torch.testing.assert_close(spectra[3, 0], 0.75 * other[0] + 0.25 * own[0])
    torch.testing.assert_close(scores, spectra.sum(dim=1))
    torch.testing.assert_close(game.ends, scores[1:3])


def test_batches_fit_the_memory_and_change_nothing() -> None:
    row = PIXELS * 8 * 10
    few, seen = made(3 * row + 1)
    switches = torch.from_numpy(np.random.default_rng(1).integers(0, 2, (8, 5))).double()
    torch.testing.assert_close(few.scores_of(switches), made()[0].scores_of(switches))
    assert [len(part) for part in seen] == [3, 3, 2]
    assert few.scores_of(switches[:0]).shape == (0,)


class Mixing:
    """A model that scores sums of pieces by itself, and counts these and the whole spectra."""

    def __init__(self) -> None:
        self.whole = self.mixed = 0

    def __call__(self, spectra: torch.Tensor) -> torch.Tensor:
        self.whole += len(spectra)
        return -spectra.square().sum(dim=1)

    def mixture(self, pieces: torch.Tensor) -> LogProb:
        squares = pieces @ pieces.T

        def log_prob(shares: torch.Tensor) -> torch.Tensor:
            self.mixed += len(shares)
            return -((shares @ squares) * shares).sum(dim=1)

        return log_prob


def test_a_model_that_knows_a_cheaper_way_takes_it_where_the_memory_allows() -> None:
    game, _ = made()
    switches = torch.from_numpy(np.random.default_rng(1).random((8, 5)))
    for memory, (whole, mixed) in ((2**20, (0, 8)), (4 * 6 * PIXELS * 8 - 1, (8, 0))):
        model = Mixing()
        subject = replace(game.subject, log_prob=model, memory_bytes=memory)
        # Masked pixels have no evidence for any model; this one looks at them, so they are 0.
        subject = replace(subject, flux=torch.where(subject.good, subject.flux, 0.0))
        replacement = torch.where(subject.good, game.replacement, 0.0)
        scores = Game(subject, game.segments, replacement).scores_of(switches)
        assert (model.whole, model.mixed) == (whole, mixed)
        own = subject.flux.double()
        level = torch.where(subject.good, switches[:, game.segments.of_pixel], 0.0)
        torch.testing.assert_close(scores, torch.lerp(replacement, own, level).square().sum(dim=1))


@pytest.mark.parametrize("kind", ON_SEGMENTS, ids=lambda kind: kind.method)
def test_memory_for_less_than_one_spectrum_is_refused_with_numbers(kind: type[SegmentSettings]) -> None:
    subject = game_subject(drawn(6, (1,)), 6, memory_bytes=12000)
    few = {"samples": 16} if hasattr(kind(), "samples") else {}
    with pytest.raises(ConfigurationError, match=r"got: 12000 bytes(.|\n)*at least 12288 bytes \(6 pixels"):
        METHODS[kind.method].attribute(subject, kind(**OFF, **few))


@pytest.mark.parametrize("kind", [LimeSettings, KernelShapSettings], ids=lambda kind: kind.method)
def test_a_design_beyond_the_memory_is_refused_before_it_is_made(kind: type[SegmentSettings]) -> None:
    subject = game_subject(drawn(30, (1,)), 30, memory_bytes=10**6)
    with pytest.raises(ConfigurationError, match=r"got: 1000000 bytes(.|\n)*1920000 bytes for 2000 coal"):
        METHODS[kind.method].attribute(subject, kind(**OFF))


@pytest.mark.parametrize("kind", ON_SEGMENTS, ids=lambda kind: kind.method)
def test_a_segment_wider_than_the_spectrum_is_refused_before_work(
    kind: type[SegmentSettings], tiny_model: ScoringModel
) -> None:
    settings = kind(width=10**5)
    text = rf"{kind.method} settings, width\n  got: 100000\n  allowed: 1 to %s pixels(.|\n)*narrower"
    with pytest.raises(ConfigurationError, match=text % tiny_model.card.grid.size):
        method_of(settings).refuse(settings, tiny_model.card, tiny_model.calibration_size)

    def asked(_: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the model was asked")

    with pytest.raises(ConfigurationError, match=text % 6):
        method_of(settings).attribute(game_subject(asked, 6), settings)


def test_too_many_segments_for_a_method_are_refused_before_work(tiny_model: ScoringModel) -> None:
    for settings, text in (
        (ExactShapleySettings(width=8), "width\n  got: 8, which gives up to 973 segments"),
        (LimeSettings(width=4), "samples\n  got: 2000 for 1946 segments\n  allowed: at least 3894"),
        (KernelShapSettings(width=4), "samples\n  got: 2000 for 1946 segments"),
        (RankedRegionsSettings(widths=(4, 10**5)), "widths\n  got: 100000"),
        (RankedRegionsSettings(baselines=10**6), "baselines\n  got: 1000000\n  allowed: 1 to 200 of tiny"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            method_of(settings).refuse(settings, tiny_model.card, tiny_model.calibration_size)
    few = LimeSettings(replacement="nearest")
    with pytest.raises(ConfigurationError, match="replacement\n  got: 8\n  allowed: 1 to 7"):
        method_of(few).refuse(few, tiny_model.card, 7)


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        (LimeSettings, {"width": 0}, "width\n  got: 0"),
        (LimeSettings, {"width": 2.5}, "width\n  got: 2.5"),
        (LimeSettings, {"segmentation": "even"}, "segmentation\n  got: even\n  allowed: uniform, clustered"),
        (LimeSettings, {"replacement": "zero"}, "replacement\n  got: zero"),
        (LimeSettings, {"replacement": "same-shape"}, "white_noise\n  got: None"),
        (LimeSettings, {"white_noise": -1.0}, "white_noise\n  got: -1.0"),
        (LimeSettings, {"seed": -1}, "seed\n  got: -1"),
        (LimeSettings, {"samples": 11}, "samples\n  got: 11\n  allowed: an even number"),
        (LimeSettings, {"sampling": "all"}, "sampling\n  got: all"),
        (LimeSettings, {"kernel_width": 0.0}, "kernel_width\n  got: 0.0"),
        (LimeSettings, {"ridge": -1.0}, "ridge\n  got: -1.0"),
        (KernelShapSettings, {"samples": 1}, "samples\n  got: 1"),
        (PermutationSettings, {"permutations": 2}, "permutations\n  got: 2"),
        (PermutationSettings, {"permutations": 7}, "permutations\n  got: 7\n  allowed: an even number"),
        (SobolSettings, {"samples": 48}, "samples\n  got: 48\n  allowed: a power of two"),
        (MinimalSetSettings, {"keep": 0.0}, "keep\n  got: 0.0"),
        (MinimalSetSettings, {"most": 0}, "most\n  got: 0"),
        (RankedRegionsSettings, {"steps": 0}, "steps\n  got: 0"),
    ],
)
def test_settings_out_of_range_are_refused(
    kind: type[SegmentSettings], values: dict[str, object], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind.method} settings, {text}"):
        kind.from_dict(values)


def test_a_spectrum_without_good_pixels_has_no_explanation() -> None:
    subject = game_subject(drawn(6, (1,)), 6)
    hidden = Subject(
        subject.flux, torch.zeros(6, dtype=torch.float64), 0.1, subject.log_prob, subject.decoder
    )
    with pytest.raises(QuarantineError, match=r"no good pixel(.|\n)*6 pixels, all masked"):
        game_of(hidden, LimeSettings(**OFF))
