"""Spectra with an anomaly of a given strength: where it is, and how the model sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.anomaly_shapes import AnomalyShape, anomaly_shape
from engine.evaluation.held_out_spectra import HeldOutSettings, Progress, held_out_spectra
from engine.simulation.anomalies import AnomalyKind
from engine.simulation.common_grid import joined
from engine.spectra.normalisation import NormalisedSpectra, normalise
from engine.spectra.spectra import Spectra
from models.grid import WavelengthGrid
from models.model_card import ModelCard

INJECTED_SHARE = 0.99
"""The injected pixels are the fewest that hold this share of the square of the strength."""
_BRIDGED = 4
"""Pixels without change, masked ones for example, that do not split an interval of injected pixels."""


@dataclass(frozen=True)
class InjectedSpectra:
    """n spectra with an anomaly of one kind and one strength, as the model sees them.

    The change is added to the flux; noise and inverse variance stay as they were, so that the strength
    is what an observer who knows shape and place of the anomaly would measure, in sigma.

    Attributes
    ----------
    kind : name of the anomaly.
    strength : root of the sum of change**2 ivar, of every spectrum.
    row : (n,) int64, place of each in the clean spectra of the evaluation.
    flux, ivar : (n, N) float32, normalised with the anomaly in them; 0 where masked.
    redshift : (n,) float64.
    snr : (n,) float32, median of flux * sqrt(ivar) over good pixels before injecting.
    injected : (n, N) bool, the fewest pixels that hold ``INJECTED_SHARE`` of the strength's square; never a
        masked one.
    change : (n, N) float32, the change in units of ``flux``, free of noise; 0 at masked pixels.
    clean_flux, clean_ivar : (n, N) float32, the same spectra before injecting, by their own normalisation.
    peak_width_angstrom : (n,) float64, extent of the interval of injected pixels with the largest
        share of the strength.
    """

    kind: str
    strength: float
    row: NDArray[np.int64]
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    redshift: NDArray[np.float64]
    snr: NDArray[np.float32]
    injected: NDArray[np.bool_]
    change: NDArray[np.float32]
    clean_flux: NDArray[np.float32]
    clean_ivar: NDArray[np.float32]
    peak_width_angstrom: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: NDArray[Any] | slice) -> InjectedSpectra:
        """The spectra at ``index`` (integers, booleans or a slice)."""
        arrays = {
            each.name: getattr(self, each.name)[index]
            for each in fields(self)
            if each.name not in ("kind", "strength")
        }
        return InjectedSpectra(kind=self.kind, strength=self.strength, **arrays)


@dataclass(frozen=True)
class CleanSpectra:
    """Clean spectra, and for each the anomalies that can be injected into it.

    Attributes
    ----------
    card : of the model that is evaluated.
    spectra : n clean spectra, as a reader gives them.
    normalised : the same as the model sees them; all can be scored.
    shapes : by kind, n shapes; None where a spectrum cannot carry the kind.
    truth : (n, N) float32, the flux of ``spectra`` free of noise; 0 at masked pixels.
    """

    card: ModelCard
    spectra: Spectra
    normalised: NormalisedSpectra
    shapes: Mapping[AnomalyKind, tuple[AnomalyShape | None, ...]]
    truth: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.spectra)

    @property
    def kinds(self) -> tuple[AnomalyKind, ...]:
        """What can be injected."""
        return tuple(self.shapes)

    def carriers(self, kind: AnomalyKind, strength: float) -> NDArray[np.int64]:
        """The spectra into which an anomaly of ``kind`` can be injected at ``strength``, ascending."""
        fit = [shape is not None and shape.largest >= strength for shape in self.shapes[kind]]
        return np.flatnonzero(fit)

    def inject(
        self, kind: AnomalyKind, strength: float, rows: NDArray[np.int64] | None = None
    ) -> InjectedSpectra:
        """Anomalies of ``kind`` at ``strength`` in the clean spectra ``rows``, all if None.

        Spectra that cannot carry it, and those whose normalisation it destroys, are left out: see the
        result's ``row``.
        """
        able = self.carriers(kind, strength)
        chosen = able if rows is None else np.intersect1d(able, rows)
        shapes = [shape.change for row in chosen.tolist() if (shape := self.shapes[kind][row]) is not None]
        change = np.float32(strength) * np.array(shapes, dtype=np.float32).reshape(-1, self.card.grid.size)
        clean = self.spectra.take(chosen)
        injected = normalise(Spectra(clean.grid, clean.flux + change, clean.ivar, clean.rows), self.card, ())
        kept = injected.scorable
        row = chosen[kept]
        change = change[kept] / injected.normalisation[kept, None]
        marked = _marked(change, injected.ivar[kept])
        return InjectedSpectra(
            kind=kind.value,
            strength=strength,
            row=row,
            flux=injected.flux[kept],
            ivar=injected.ivar[kept],
            redshift=injected.rows["redshift"][kept].copy(),
            snr=self.normalised.rows["snr"][row].copy(),
            injected=marked,
            change=change,
            clean_flux=self.normalised.flux[row],
            clean_ivar=self.normalised.ivar[row],
            peak_width_angstrom=_peak_widths(marked, change, injected.ivar[kept], self.card.grid),
        )


def prepare_clean_spectra(
    card: ModelCard,
    settings: HeldOutSettings,
    kinds: tuple[AnomalyKind, ...] = tuple(AnomalyKind),
    progress: Progress = lambda *_: None,
) -> CleanSpectra:
    """Simulate clean spectra for a model and draw an anomaly of every kind for each of them.

    Raises
    ------
    ConfigurationError, InputError : see :func:`engine.evaluation.held_out_spectra.held_out_spectra`.
    """
    parts: list[Spectra] = []
    truths: list[NDArray[np.float32]] = []
    shapes: dict[AnomalyKind, list[AnomalyShape | None]] = {kind: [] for kind in kinds}
    for held_out in held_out_spectra(card, settings, progress):
        parts.append(held_out.spectrum)
        simulated = held_out.simulated
        truths.append(joined(simulated, card.grid, tuple(arm.truth for arm in simulated.arms))[0])
        for kind in kinds:
            shapes[kind].append(anomaly_shape(kind, held_out, card.grid, settings.seed))
    spectra = Spectra.concatenate(card.grid, parts)
    return CleanSpectra(
        card,
        spectra,
        normalise(spectra, card, ()),
        {kind: tuple(each) for kind, each in shapes.items()},
        np.concatenate(truths),
    )


def _marked(change: NDArray[np.float32], ivar: NDArray[np.float32]) -> NDArray[np.bool_]:
    square = change.astype(np.float64) ** 2 * ivar
    order = np.argsort(-square, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(square, order, axis=1), axis=1)
    # A pixel is needed if those before it hold less than the share.
    before = np.concatenate([np.zeros((len(sums), 1)), sums[:, :-1]], axis=1)
    needed = before < INJECTED_SHARE * sums[:, -1:]
    marked = np.zeros(change.shape, dtype=bool)
    np.put_along_axis(marked, order, needed, axis=1)
    return marked


def _peak_widths(
    marked: NDArray[np.bool_], change: NDArray[np.float32], ivar: NDArray[np.float32], grid: WavelengthGrid
) -> NDArray[np.float64]:
    wavelength = grid.wavelength()
    widths = np.empty(len(marked))
    for row, pixels in enumerate(marked):
        index = np.flatnonzero(pixels)
        intervals = np.split(index, np.flatnonzero(np.diff(index) > _BRIDGED) + 1)
        square = change[row].astype(np.float64) ** 2 * ivar[row]
        largest = max(intervals, key=lambda interval: float(square[interval].sum()))
        middle = wavelength[largest].mean()
        widths[row] = grid.width(middle, largest[-1] - largest[0] + 1)
    return widths
