"""Explanation: why one spectrum is odd, with its arrays, its places and its figure."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flows.interface.notebook_page import facts_page, facts_text
from flows.interface.spectrum import Spectrum, specutils_spectrum

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from engine.attribution.cautions import Caution
    from engine.attribution.places import Place
    from flows.spectrum.explained_spectrum import ExplainedSpectrum
    from models.causes.estimate import Estimate


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why one spectrum is odd. Arrays are on the model's N pixels; flux is divided by ``normalisation``.

    :attr:`places` are the features that make it odd, that of the highest peak first.
    """

    _explained: ExplainedSpectrum

    @property
    def key(self) -> str:
        """What names the spectrum."""
        return self._explained.explanation.key

    @cached_property
    def target_id(self) -> int:
        """DESI TARGETID; SDSS SPECOBJID; -1 for none."""
        from engine.surveys.identifiers import shown_identifiers

        explained = self._explained.explanation
        return int(shown_identifiers(explained.grid, np.array([explained.target_id], np.int64))[0])

    @property
    def redshift(self) -> float:
        """Redshift at which it was scored."""
        return self._explained.explanation.redshift

    @property
    def spectral_class(self) -> str:
        """GALAXY, QSO or STAR."""
        return self._explained.score.spectype

    @property
    def model(self) -> str:
        """Name of the model that scored and explained it."""
        return self._explained.model

    @property
    def method(self) -> str:
        """Name of the method that explained it."""
        return self._explained.method

    @property
    def score(self) -> float:
        """The higher the odder."""
        return float(self._explained.score.score)

    @property
    def tail_probability(self) -> float:
        """Share of usual spectra like it that score as high."""
        return float(self._explained.score.tail_probability)

    @property
    def cause(self) -> str:
        """What most likely made it odd; ``unknown`` is one."""
        return self._explained.explanation.cause

    @property
    def cause_probability(self) -> float:
        """Of the cause."""
        return self._explained.explanation.cause_probability

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """What the cause measured: each a quantity, a value and its error."""
        return self._explained.explanation.estimates

    @property
    def places(self) -> tuple[Place, ...]:
        """Features that make it odd; none where the map is uniform."""
        return self._explained.explanation.places

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Signs that the explanation should not be read without a look at the spectrum first."""
        from engine.attribution.cautions import cautions_in

        return tuple(cautions_in(self._explained.explanation.cautions))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What should be known of the score."""
        return self._explained.warnings

    @property
    def wavelength(self) -> NDArray[np.float64]:
        """(N,) pixel centres, observed vacuum Angstrom."""
        return self._explained.explanation.wavelength

    @property
    def flux(self) -> NDArray[np.floating]:
        """(N,) as scored: divided by :attr:`normalisation`; 0 where masked."""
        return self._explained.explanation.flux

    @property
    def ivar(self) -> NDArray[np.floating]:
        """(N,) inverse variance of :attr:`flux`; 0 where masked."""
        return self._explained.explanation.ivar

    @property
    def baseline(self) -> NDArray[np.floating]:
        """(N,) what it was compared with: by occlusion, the mean of the typical spectra into which pieces of
        it were pasted; by repair, the repaired spectrum. NaN of a method without.
        """
        return self._explained.explanation.baseline

    @property
    def reconstruction(self) -> NDArray[np.floating]:
        """(N,) spectrum without noise that the model sees."""
        return self._explained.explanation.reconstruction

    @property
    def scales(self) -> tuple[int, ...]:
        """The S widths, in pixels, at which attribution was computed."""
        return self._explained.explanation.scales

    @property
    def maps(self) -> NDArray[np.floating]:
        """(S, N) attribution by width; positive makes the spectrum odd."""
        return self._explained.explanation.maps

    @property
    def combined(self) -> NDArray[np.floating]:
        """(N,) the maps brought together."""
        return self._explained.explanation.combined

    @property
    def normalisation(self) -> float:
        """Flux that the spectrum was divided by, 1e-17 erg / (s cm2 Angstrom)."""
        return float(self._explained.normalisation)

    @property
    def spectrum(self) -> Spectrum:
        """The spectrum in physical units."""
        scale = self.normalisation
        return Spectrum(
            self.wavelength,
            np.asarray(self.flux * scale, dtype=np.float64),
            np.asarray(self.ivar / scale**2, dtype=np.float64),
            self.redshift,
            self.spectral_class,
            self.key,
            self.target_id,
            self._explained.source,
        )

    def to_dict(self) -> dict[str, Any]:
        """What ``whyspec show --json`` writes: everything but the arrays."""
        return self._explained.to_dict()

    def to_xarray(self) -> xr.Dataset:
        """Flux, ivar, baseline, reconstruction, maps and combined map, by ``wavelength`` and ``window``."""
        import xarray as xr

        names = ("flux", "ivar", "baseline", "reconstruction", "combined")
        units = self._explained.explanation.units
        found = xr.Dataset(
            {
                **{name: ("wavelength", getattr(self, name)) for name in names},
                "maps": (("window", "wavelength"), self.maps),
            },
            {
                "wavelength": ("wavelength", self.wavelength, {"units": "Angstrom"}),
                "window": ("window", np.array(self.scales), {"units": "pixel"}),
            },
            {"key": self.key, "redshift": self.redshift, "normalisation": self.normalisation},
        )
        found["maps"].attrs["units"], found["combined"].attrs["units"] = units.maps, units.combined
        return found

    def to_specutils(self) -> Any:
        """The spectrum as a :class:`specutils.Spectrum`; its ``meta`` holds the combined map and the places.

        Raises
        ------
        ConfigurationError : specutils is not installed.
        """
        from flows.interface.spectrum import FLUX_UNIT

        found = specutils_spectrum(self.spectrum, FLUX_UNIT)
        found.meta.update(
            combined=self.combined, places=self.places, cause=self.cause, score=self.score, model=self.model
        )
        return found

    def plot(self, path: str | Path | None = None) -> Figure:
        """The figure: spectrum, attribution by width, combined map. Written to ``path`` too, if given.

        Raises
        ------
        InputError : the name does not end in .png, .pdf or .svg, or cannot be written to.
        """
        from engine.figures.explanation import explanation_figure

        figure = explanation_figure(
            self._explained.explanation, self._explained.score, self._explained.method
        )
        if path is not None:
            from engine.figures.figure_file import save_figure

            save_figure(figure, Path(path))
        return figure

    def __repr__(self) -> str:
        return facts_text(f"Explanation of {self.key}", self._facts())

    def _repr_html_(self) -> str:
        picture = io.BytesIO()
        self.plot().savefig(picture, format="png", dpi=100)
        return facts_page(self.key, self._facts(), picture.getvalue())

    def _facts(self) -> list[tuple[str, object]]:
        facts: list[tuple[str, object]] = list(self._explained.facts())
        facts += [("caution", f"{each.label}: {each.meaning}") for each in self.cautions]
        return [*facts, *(("warning", each) for each in self.warnings)]
