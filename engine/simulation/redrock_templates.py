"""Templates of redrock for a simulated release: the bases that its spectra are made of, in redrock's files.

redrock says of a spectrum which template fits and by which coefficients. Nobody else has the templates of
simulated spectra, so they lie beside the release, in ``redrock-templates``: with them
``redrock.templates.eval_model`` draws the spectra from a redrock file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from engine.simulation.arms import SPEED_OF_LIGHT
from engine.simulation.continuum import STEP, stellar_basis
from engine.simulation.emission import GasState, emission_lines
from engine.simulation.fits_file import Card, primary_hdu, write_fits
from engine.simulation.point_sources import BROAD_LINES, NARROW_LINES
from engine.simulation.point_templates import load_point_templates
from engine.simulation.rest_frame import Floats, RestFrameBasis
from engine.simulation.settings import SimulationSettings
from engine.simulation.templates import load_galaxy_templates

DIRECTORY = "redrock-templates"
VERSION = "simulated"
COEFFICIENTS = 10
"""Of a row of a redrock file; a template has at most so many components."""

_LINE_WIDTH = 90.0
"""km/s, of galaxies' emission lines."""
_BROAD_WIDTH = 1900.0
"""km/s, of quasars' broad lines."""
_LINE_GROUPS = (("Hα",), ("H",), ("[O II]",), ("[O III]", "[Ne", "[Ar"), ("[N II]",), ("[S", "[O I]"))
_BROAD_GROUPS = (("Lyα", "N V"), ("Si IV", "C IV"), ("C III]", "Mg II"), ("Hγ", "Hβ"), ("Hα",))


@dataclass(frozen=True)
class RedrockTemplate:
    """A template: a basis for spectra of one ``spectype`` and ``subtype``, as redrock names them."""

    spectype: str
    subtype: str
    basis: RestFrameBasis

    @property
    def full_type(self) -> str:
        """As the header of a redrock file names it."""
        return f"{self.spectype}:::{self.subtype}" if self.subtype else self.spectype

    @property
    def file_name(self) -> str:
        """The name by which redrock looks for it."""
        return f"rrtemplate-{self.spectype}-{self.subtype or None}-v{VERSION}.fits"


@lru_cache(maxsize=2)
def templates_of(settings: SimulationSettings) -> tuple[RedrockTemplate, ...]:
    """The templates of a release: those that its spectra were drawn from, where the settings name any.

    Raises
    ------
    InputError : there are no templates where the settings say so.
    """
    if settings.templates is None:
        return _galaxies(), _quasars(), _stars()
    galaxies = RedrockTemplate("GALAXY", "", load_galaxy_templates(settings.templates).basis)
    if settings.population == "plain" or settings.quasar_fraction + settings.star_fraction == 0:
        return galaxies, _quasars(), _stars()
    points = load_point_templates(settings.templates)
    quasars = [RedrockTemplate("QSO", each.name, each.basis) for each in points.quasars]
    stars = [RedrockTemplate("STAR", each.name, each.basis) for each in points.stars]
    return (galaxies, *quasars, *stars)


def header_cards(templates: tuple[RedrockTemplate, ...]) -> list[Card]:
    """What a redrock file's header says of the templates."""
    cards: list[Card] = []
    for number, template in enumerate(templates):
        cards += [(f"TEMNAM{number:02d}", template.full_type), (f"TEMVER{number:02d}", VERSION)]
    return cards


def write_templates(templates: tuple[RedrockTemplate, ...], out: Path) -> None:
    """Write the templates' files into a directory of the release ``out``."""
    folder = out / DIRECTORY
    folder.mkdir(exist_ok=True)
    for template in templates:
        basis = template.basis
        samples = np.diff(basis.integral, axis=1) / basis.step
        cards: list[Card] = [
            ("EXTNAME", "BASIS_VECTORS"),
            ("CRVAL1", basis.start + basis.step / 2, "rest wavelength in vacuum, Angstrom"),
            ("CDELT1", basis.step),
            ("LOGLAM", 0),
            ("RRTYPE", template.spectype),
            ("RRSUBTYP", template.subtype),
            ("RRMETHOD", "PCA"),
            ("RRIGM", "None"),
            ("VERSION", VERSION),
        ]
        hdu = primary_hdu(cards, samples.shape, [samples.astype(">f4").tobytes()])
        write_fits(folder / template.file_name, [hdu])


@lru_cache(maxsize=1)
def _galaxies() -> RedrockTemplate:
    """Four populations of stars, and emission lines in six groups that vary by themselves."""
    start, stars = _widened_stars(1350.0)
    wavelength: Floats = start + STEP * np.arange(stars.shape[1], dtype=np.float64)
    groups = np.zeros((len(_LINE_GROUPS), len(wavelength)))
    for line in emission_lines(GasState(0.0, 0.0, 0.0, 0.0, 0.0, 0.4, _LINE_WIDTH), 1.0):
        number = next(i for i, group in enumerate(_LINE_GROUPS) if line.name.startswith(group))
        groups[number] += line.area * _profile(wavelength, line.wavelength, _LINE_WIDTH)
    samples = np.concatenate([stars, groups])
    return RedrockTemplate("GALAXY", "", RestFrameBasis.from_samples(start, STEP, samples))


@lru_cache(maxsize=1)
def _quasars() -> RedrockTemplate:
    """Three power laws, light that is absorbed by the forest, and lines in six groups."""
    wavelength = np.arange(500.0, 9950.0)
    laws = [(wavelength / 2500.0) ** slope for slope in (-2.0, -1.5, -1.0)]
    forest = np.where(wavelength < 1215.67, laws[1], 0.0)
    broad = [
        sum(
            width * _profile(wavelength, centre, _BROAD_WIDTH)
            for name, centre, width in BROAD_LINES
            if name in group
        )
        for group in _BROAD_GROUPS
    ]
    narrow = sum(width * _profile(wavelength, centre, 250.0) for _, centre, width in NARROW_LINES)
    samples = np.stack([*laws, forest, *broad, narrow])
    return RedrockTemplate("QSO", "", RestFrameBasis.from_samples(500.0, 1.0, samples))


def _stars() -> RedrockTemplate:
    return RedrockTemplate("STAR", "G", stellar_basis())


def _widened_stars(first: float) -> tuple[float, Floats]:
    """First wavelength and samples of the stellar basis from ``first`` Angstrom on, as it goes on there."""
    basis = stellar_basis()
    samples = np.diff(basis.integral, axis=1) / STEP
    more = int((basis.start - first) / STEP)
    end = samples[:, : round(50.0 / STEP)].mean(axis=1, keepdims=True)
    return basis.start + STEP / 2 - more * STEP, np.concatenate(
        [np.repeat(end, more, axis=1), samples], axis=1
    )


def _profile(wavelength: Floats, centre: float, width: float) -> Floats:
    """A Gaussian of unit area, ``width`` km/s wide."""
    sigma = centre * width / SPEED_OF_LIGHT
    return np.asarray(np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi)))
