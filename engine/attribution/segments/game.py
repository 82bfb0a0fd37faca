"""Game: segments as players, the score of the spectrum with some of them on as the value of a coalition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from engine.attribution.memory import spectra_at_once
from engine.attribution.passes import evaluated
from engine.attribution.segments.replacements import replacement_of
from engine.attribution.segments.segmentation import Segments, segments_of
from engine.attribution.segments.settings import SegmentSettings
from engine.attribution.subject import Subject
from models.errors import ErrorKind, QuarantineError
from models.spectrum_model import LogProb, MixtureLogProb

Coalitions = Callable[[Tensor], Tensor]
"""Numbers of coalitions (B,) to their switches (B, K): 1 for a segment that is on, 0 for one that is off."""

_COPIES = 4
"""Of the pieces of a spectrum, while a model prepares for sums of them."""


@dataclass(frozen=True, eq=False)
class Game:
    """What all methods on segments ask: scores of coalitions.

    Attributes
    ----------
    subject : the spectrum and its model.
    segments : the players.
    replacement : (N,) float64, what is in the place of a segment that is off.
    """

    subject: Subject
    segments: Segments
    replacement: Tensor

    @property
    def players(self) -> int:
        """Number of segments."""
        return self.segments.count

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.subject.flux.device

    @cached_property
    def ends(self) -> Tensor:
        """Scores (2,) with no segment on and with all."""
        return self.scores_of(torch.tensor([0.0, 1.0], dtype=torch.float64)[:, None].expand(2, self.players))

    def values(self, count: int, coalitions: Coalitions) -> Tensor:
        """Scores (count,) float64 of so many coalitions, on the device.

        A switch between 0 and 1 is that far on the straight way from replacement to spectrum. Masked pixels
        stay as they are: no model looks at them.

        Raises
        ------
        ConfigurationError : the memory allowed does not hold one spectrum.
        """
        subject = self.subject
        rows = spectra_at_once(subject.memory_bytes, subject.floats_per_pixel, len(self.replacement))
        scores = [self.replacement.new_zeros(0)]
        with torch.no_grad():
            for low in range(0, count, rows):
                chosen = torch.arange(low, min(low + rows, count), device=self.device)
                switches = coalitions(chosen).to(self.replacement.dtype)
                scores.append(-evaluated(self._log_prob, switches, subject.memory_bytes).double())
        return torch.cat(scores)

    @cached_property
    def _log_prob(self) -> LogProb:
        """Minus the score as a function of switches (B, K)."""
        known: object = self.subject.log_prob
        held = _COPIES * (self.players + 1) * len(self.replacement) * self.replacement.element_size()
        if isinstance(known, MixtureLogProb) and held <= self.subject.memory_bytes:
            cheaper = known.mixture(self._pieces)
            if cheaper is not None:
                return lambda switches: cheaper(_with_rest(switches))
        return self._of_spectra

    def _of_spectra(self, switches: Tensor) -> Tensor:
        own = self.subject.flux.double()
        other = torch.where(self.subject.good, self.replacement, own)
        return self.subject.log_prob(torch.lerp(other, own, switches[:, self._of_pixel]))

    @property
    def _pieces(self) -> Tensor:
        """The replacement, and what each segment changes in it, (1 + K, N)."""
        change = torch.where(self.subject.good, self.subject.flux.double() - self.replacement, 0.0)
        each = torch.arange(self.players, device=self.device)[:, None]
        return torch.cat([self.replacement[None], torch.where(each == self._of_pixel, change, 0.0)])

    @cached_property
    def _of_pixel(self) -> Tensor:
        """(N,) segment of each pixel; 0 of masked ones, which are the same in spectrum and replacement."""
        return torch.from_numpy(self.segments.of_pixel).clamp(min=0).to(self.device)

    def scores_of(self, switches: Tensor) -> Tensor:
        """Scores (n,) of coalitions (n, K), see :meth:`values`."""
        there = switches.to(self.device)
        return self.values(len(there), there.__getitem__)


def _with_rest(switches: Tensor) -> Tensor:
    """(B, K) with the share of the replacement before it, which is always whole."""
    return torch.cat([switches.new_ones(len(switches), 1), switches], dim=1)


def game_of(subject: Subject, settings: SegmentSettings) -> Game:
    """The game that these settings make of a subject.

    Raises
    ------
    ConfigurationError : the settings do not suit the spectrum or the model.
    QuarantineError : all pixels are masked.
    """
    settings.check_pixels(len(subject.flux))
    segments = segments_of(
        subject.flux.cpu().numpy(), subject.good.cpu().numpy(), settings.segmentation, settings.width
    )
    if not segments.count:
        raise QuarantineError(
            "A spectrum cannot be explained: it has no good pixel.",
            where="attribution",
            got=f"{len(subject.flux)} pixels, all masked",
            allowed="at least one good pixel",
            remedy="Quarantine the spectrum.",
            kind=ErrorKind.NON_FINITE_SPECTRUM,
        )
    return Game(subject, segments, replacement_of(subject, segments, settings))
