"""Explaining: one spectrum by the shipped model of its class and redshift."""

from __future__ import annotations

from typing import Any

from flows.interface.explanation import Explanation
from flows.interface.given_spectra import given_spectra
from flows.interface.model import method_settings, only, shipped_networks


def explain(
    wavelength: Any,
    flux: Any = None,
    ivar: Any = None,
    redshift: Any = None,
    *,
    spectral_class: str = "",
    medium: str = "vacuum",
    survey: str = "",
    method: str | None = None,
    **settings: Any,
) -> Explanation:
    """Why a spectrum is odd, by the shipped model that scores its class and redshift in a run.

    Parameters
    ----------
    wavelength, flux, ivar, redshift, medium : see :class:`flows.interface.model.Model`.
    spectral_class : GALAXY, QSO or STAR; what the spectrum says, else GALAXY, if left out.
    survey : whose models, ``desi`` or ``sdss``; if left out, the one whose pixels the spectrum has, else the
        first.
    method, settings : see :meth:`flows.interface.model.Model.explain`.

    Raises
    ------
    InputError : what is given is not one spectrum, or it cannot be scored.
    ConfigurationError : no model ships for the survey, or method and settings do not fit.
    """
    from flows.spectrum.explain_spectrum import explained
    from flows.spectrum.own_grid import chosen_on, grid_for

    chosen_settings = method_settings(method, settings)
    given = only(
        given_spectra(wavelength, flux, ivar, redshift, spectral_class=spectral_class, medium=medium)
    )
    models = shipped_networks(survey or grid_for(given).name)
    return Explanation(explained(models, chosen_on(given, models[0].card.grid), chosen_settings))
