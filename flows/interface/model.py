"""Model: a scoring model for spectra that the user holds, and those that ship."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.interface.explanation import Explanation
from flows.interface.given_spectra import given_spectra
from flows.interface.notebook_page import facts_page, facts_text
from models.errors import ErrorKind, InputError
from models.model_card import ModelCard

if TYPE_CHECKING:
    import pandas as pd

    from engine.attribution.method import MethodSettings
    from engine.spectra.own_spectrum import OwnSpectrum
    from flows.interface.score_module import ScoreModule
    from flows.spectrum.spectrum_choice import ChosenSpectrum
    from models.spectrum_model import SpectrumModel

_COLUMNS = ("key", "redshift", "spectype", "snr", "good_fraction")
_SCORES = ("score", "tail_probability", "tail_uncertainty")
_BATCH = 64
"""Spectra scored at once."""


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A scoring model.

    Its methods take wavelength (N,), flux and ivar, (N,) or (n, N), and redshift; or, in the place of the
    first three, a spectrum of whyspec or specutils, a table of astropy or pandas with columns of these names,
    or a list of such. Numbers without units are vacuum Angstrom and 1e-17 erg / (s cm2 Angstrom); astropy
    quantities are converted. What is not on the model's grid is resampled, see
    :mod:`engine.spectra.resampling`.
    """

    _network: SpectrumModel

    @property
    def card(self) -> ModelCard:
        """What it was made from, and what it may be used on."""
        return self._network.card

    @property
    def name(self) -> str:
        """Its name."""
        return self.card.name

    def score(
        self,
        wavelength: Any,
        flux: Any = None,
        ivar: Any = None,
        redshift: Any = None,
        *,
        medium: str = "vacuum",
    ) -> pd.DataFrame:
        """A row for each spectrum: score, tail probability, and the status that says why there is none.

        ``good_fraction`` is the share of the model's pixels that the spectrum covers with evidence.

        Raises
        ------
        InputError : what is given is no spectrum, or none of the spectra can be scored; the text says how
            much is covered, and how much must be.
        """
        import pandas as pd

        from engine.spectra.normalisation import normalise
        from engine.spectra.resampling import on_grid
        from engine.spectra.scorer import Scorer
        from engine.spectra.spectra import Spectra
        from flows.spectrum.explain_spectrum import unscorable
        from flows.spectrum.own_grid import no_redshift
        from models.row_status import RowStatus

        given = self._classed(given_spectra(wavelength, flux, ivar, redshift, medium=medium))
        if not np.isfinite([each.redshift for each in given]).any():
            raise no_redshift(given[0])
        spectra = Spectra.concatenate(self.card.grid, [on_grid(each, self.card.grid) for each in given])
        spectra.rows.data["source_row"] = np.arange(len(spectra))
        normalised = normalise(spectra, self.card, ())
        scorable = np.flatnonzero(normalised.scorable)
        if not len(scorable):
            raise unscorable(given[0].source, self.card, normalised, 0)
        rows, scorer = normalised.rows.data, Scorer(self._network)
        found = {name: np.full(len(spectra), np.nan, np.float32) for name in _SCORES}
        for start in range(0, len(scorable), _BATCH):
            which = scorable[start : start + _BATCH]
            scores = scorer.score(normalised, which)
            rows["status"][which[~scores.finite]] = RowStatus.NON_FINITE_SCORE
            for name, values in found.items():
                values[which] = getattr(scores, name)
        status = [RowStatus(int(code)).label for code in rows["status"]]
        return pd.DataFrame({**{name: rows[name] for name in _COLUMNS}, **found, "status": status})

    def explain(
        self,
        wavelength: Any,
        flux: Any = None,
        ivar: Any = None,
        redshift: Any = None,
        *,
        medium: str = "vacuum",
        method: str | None = None,
        **settings: Any,
    ) -> Explanation:
        """Why one spectrum is odd, outlier or not.

        Parameters
        ----------
        method : of attribution, by its name; None for the default, occlusion.
        settings : of the method, e.g. ``windows=(16, 64)``, ``baselines=4``, see
            :data:`engine.attribution.methods.METHODS`.

        Raises
        ------
        InputError : what is given is not one spectrum, or it cannot be scored.
        ConfigurationError : there is no such method, or a setting is outside of what is allowed.
        """
        given = given_spectra(wavelength, flux, ivar, redshift, medium=medium)
        return self._explained(only(given), method_settings(method, settings))

    def explain_each(
        self,
        wavelength: Any,
        flux: Any = None,
        ivar: Any = None,
        redshift: Any = None,
        *,
        medium: str = "vacuum",
        method: str | None = None,
        **settings: Any,
    ) -> tuple[Explanation, ...]:
        """The same of several spectra, in their order. The first that cannot be scored is the error."""
        given = given_spectra(wavelength, flux, ivar, redshift, medium=medium)
        chosen = method_settings(method, settings)
        return tuple(self._explained(each, chosen) for each in given)

    def module(
        self,
        wavelength: Any,
        flux: Any = None,
        ivar: Any = None,
        redshift: Any = None,
        *,
        medium: str = "vacuum",
    ) -> ScoreModule:
        """The score of one spectrum as a torch module of its flux, with gradients: for methods of others.

        Raises
        ------
        InputError : what is given is not one spectrum, or it cannot be scored.
        """
        import copy

        from engine.attribution.subject import subject_of
        from engine.spectra.normalisation import normalise
        from flows.interface.score_module import ScoreModule
        from flows.spectrum.explain_spectrum import unscorable

        chosen = self._chosen(only(given_spectra(wavelength, flux, ivar, redshift, medium=medium)))
        normalised = normalise(chosen.spectra, self.card, ())
        if not normalised.scorable[0]:
            raise unscorable(chosen.source, self.card, normalised, 0)
        subject = subject_of(
            copy.deepcopy(self._network).double(),
            normalised.flux[0],
            normalised.ivar[0],
            float(normalised.rows["redshift"][0]),
        )
        return ScoreModule(subject, self.card.grid.wavelength())

    def _classed(self, given: tuple[OwnSpectrum, ...]) -> list[OwnSpectrum]:
        """The spectra with a class each: who names the model says the class."""
        usual = self.card.classes[0] if self.card.classes else ""
        return [each if each.spectral_class else replace(each, spectral_class=usual) for each in given]

    def _chosen(self, given: OwnSpectrum) -> ChosenSpectrum:
        from flows.spectrum.own_grid import chosen_on

        (classed,) = self._classed((given,))
        return chosen_on(classed, self.card.grid)

    def _explained(self, given: OwnSpectrum, settings: MethodSettings) -> Explanation:
        from flows.spectrum.explain_spectrum import explained

        return Explanation(explained([self._network], self._chosen(given), settings))

    def __repr__(self) -> str:
        return facts_text(f"Model {self.name}", card_facts(self.card))

    def _repr_html_(self) -> str:
        return facts_page(self.name, card_facts(self.card))


def models() -> pd.DataFrame:
    """The models that ship, by name: what they score, on which grid, at which redshifts and S/N."""
    import pandas as pd

    from models.model_files import pretrained_names, read_model

    cards = [read_model(name).card for name in pretrained_names()]
    columns = ("redshift_min", "redshift_max", "snr_min", "snr_max", "description")
    return pd.DataFrame(
        {
            "grid": [card.grid.name for card in cards],
            "classes": [", ".join(card.classes) for card in cards],
            **{name: [getattr(card, name) for card in cards] for name in columns},
        },
        pd.Index([card.name for card in cards], name="model"),
    )


def load_model(name: str) -> Model:
    """The model of that name among those that ship, or in that directory; on the processor.

    Raises
    ------
    InputError : there is no such model.
    ConfigurationError : its files are damaged, or of another version.
    """
    from models.weights import load_model as load

    return Model(load(str(name)))


@lru_cache(maxsize=2)
def shipped_networks(grid_name: str) -> tuple[SpectrumModel, ...]:
    """The shipped models for a grid, loaded once."""
    from models.model_files import pretrained_for
    from models.weights import load_model as load

    return tuple(load(name) for name in pretrained_for(grid_name))


def method_settings(method: str | None, settings: dict[str, Any]) -> MethodSettings:
    """Settings of a method by its name, of the default one for None.

    Raises
    ------
    ConfigurationError : there is no such method, or a setting is outside of what is allowed.
    """
    from engine.attribution.method_choice import chosen_settings

    return chosen_settings(method, settings)


def only(given: tuple[OwnSpectrum, ...]) -> OwnSpectrum:
    """The one spectrum that was given.

    Raises
    ------
    InputError : there are none, or several.
    """
    if len(given) == 1:
        return given[0]
    raise InputError(
        "One spectrum is wanted.",
        got=f"{len(given)} spectra",
        allowed="1",
        remedy="Use explain_each for several.",
        kind=ErrorKind.OWN_SPECTRUM,
    )


def card_facts(card: ModelCard) -> list[tuple[str, object]]:
    """What a card says, for people."""
    first, last = card.grid.wavelength()[[0, -1]]
    return [
        ("spectra", f"{', '.join(card.classes) or 'all classes'}: {card.description}"),
        ("redshift", f"{card.redshift_min:g} to {card.redshift_max:g}"),
        ("S/N per pixel", f"{card.snr_min:.3g} to {card.snr_max:.3g}"),
        ("wavelength", f"{first:.1f} to {last:.1f} Å, vacuum, {card.grid.size:,} pixels ({card.grid.name})"),
        ("digest", card.digest[:12]),
    ]
