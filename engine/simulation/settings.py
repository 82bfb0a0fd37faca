"""Settings of a simulated release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from models.errors import ConfigurationError, ErrorKind

SurveyName = Literal["desi", "sdss"]
ReleaseName = Literal["dr1", "edr", "legacy", "boss", "sdssv"]
FormName = Literal["coadd", "spec", "plate"]
PopulationName = Literal["plain", "broad"]
SkyShare = Literal["training", "proof"]


@dataclass(frozen=True, slots=True)
class SimulatedSurvey:
    """What can be simulated of a survey.

    Attributes
    ----------
    name : the survey's, as in ``engine.surveys``.
    releases, forms : see :class:`SimulationSettings`; the first of each is taken where none is named.
    spectrographs : a release of each spectrograph whose spectra a model of this survey scores.
    bulk_form : the form that holds most spectra in a file, hence is the quickest to write and read.
    shift : spectra begin up to so many pixels before or after the usual one.
    """

    name: SurveyName
    releases: tuple[ReleaseName, ...]
    forms: tuple[FormName, ...]
    spectrographs: tuple[ReleaseName, ...]
    bulk_form: FormName
    shift: int


SIMULATED: Mapping[SurveyName, SimulatedSurvey] = MappingProxyType(
    {
        each.name: each
        for each in (
            SimulatedSurvey("desi", ("dr1", "edr"), ("coadd",), ("dr1",), "coadd", 0),
            SimulatedSurvey(
                "sdss", ("legacy", "boss", "sdssv"), ("spec", "plate"), ("legacy", "boss"), "plate", 4
            ),
        )
    }
)
"""The surveys that can be simulated, by their names."""

_POPULATIONS: tuple[PopulationName, ...] = ("plain", "broad")
_SKY_SHARES: tuple[SkyShare, ...] = ("training", "proof")
_LARGEST = 5_000_000
_LARGEST_REDSHIFT = 6.0
"""To which quasar templates reach the blue end of every instrument."""
LARGEST_GALAXY_REDSHIFT = 2.0
"""The same of galaxies' templates, which begin at 1167 Angstrom at rest."""


@dataclass(frozen=True)
class SimulationSettings:
    """Settings of a simulated release.

    Attributes
    ----------
    survey : whose instrument and file formats.
    spectra : number of rows, sky fibres and broken fibres included.
    outlier_fraction : share of galaxies that carry an anomaly, 0 to 1.
    seed : the same seed gives the same bytes; spectrum i does not depend on ``spectra``.
    release : which generation of files. DESI ``dr1`` (survey main) or ``edr`` (survey sv3, unsigned
        masks); SDSS ``legacy`` (SDSS-I/II spectrograph, run2d 26), ``boss`` (run2d v5_13_2) or ``sdssv``
        (fields instead of plates, run2d v6_1_3). None takes the survey's first.
    form : the files that hold the spectra. DESI ``coadd``; SDSS ``spec`` (one spectrum each) or ``plate``
        (all of a plate or field, with redshifts in another file). None takes the survey's first.
    templates : directory with redrock templates (``rrtemplate-galaxy-*.fits``), or None for galaxies
        made up from analytic continua and emission lines.
    template_fraction : share of galaxies drawn from ``templates``, 0 to 1; no effect without them.
    spectra_per_file : DESI rows per healpix file.
    quasar_fraction, star_fraction : shares of targets that are not galaxies.
    sky_fraction : share of rows that are sky fibres.
    broken_fraction : share of rows that are stuck positioners (negative TARGETID, no data) or fibres
        flagged bad, half each; SDSS: unplugged fibres.
    resolution : write DESI's RESOLUTION HDUs, which are 78 % of a coadd's bytes.
    population : ``plain``, clean spectra of galaxies as a survey selects them; or ``broad``, what a model is
        trained on: signal-to-noise, redshift, dust, lines and widths drawn wide, and the small flaws that
        real pipelines leave in every spectrum.
    sky : directory with real SDSS sky fibres (``spec-*.fits``), whose residuals and noise a broad population
        takes over; None for modelled ones.
    sky_share : which half of them: ``training`` or ``proof``.
    quasar_redshifts, galaxy_redshifts : ranges of a broad population's quasars and galaxies.
    """

    survey: SurveyName
    spectra: int
    outlier_fraction: float = 0.05
    seed: int = 0
    release: ReleaseName | None = None
    form: FormName | None = None
    templates: Path | None = None
    template_fraction: float = 1.0
    spectra_per_file: int = 250
    quasar_fraction: float = 0.0
    star_fraction: float = 0.0
    sky_fraction: float = 0.03
    broken_fraction: float = 0.01
    resolution: bool = True
    population: PopulationName = "plain"
    sky: Path | None = None
    sky_share: SkyShare = "training"
    quasar_redshifts: tuple[float, float] = (0.05, 4.0)
    galaxy_redshifts: tuple[float, float] = (0.002, 0.65)

    def __post_init__(self) -> None:
        if self.survey not in SIMULATED:
            raise _out_of_range("survey", self.survey, " or ".join(SIMULATED))
        known = SIMULATED[self.survey]
        if self.release is not None and self.release not in known.releases:
            raise _out_of_range("release", self.release, " or ".join(known.releases))
        if self.form is not None and self.form not in known.forms:
            raise _out_of_range("form", self.form, " or ".join(known.forms))
        if not 1 <= self.spectra <= _LARGEST:
            raise _out_of_range("spectra", self.spectra, f"1 to {_LARGEST}")
        if not 1 <= self.spectra_per_file <= 10_000:
            raise _out_of_range("spectra_per_file", self.spectra_per_file, "1 to 10000")
        if not 0 <= self.seed < 2**63:
            raise _out_of_range("seed", self.seed, "0 to 2^63 - 1")
        shares = ("outlier_fraction", "template_fraction", "quasar_fraction", "star_fraction")
        for name in (*shares, "sky_fraction", "broken_fraction"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise _out_of_range(name, value, "0 to 1")
        for first, second in (("quasar_fraction", "star_fraction"), ("sky_fraction", "broken_fraction")):
            total = getattr(self, first) + getattr(self, second)
            if total > 1.0:
                raise _out_of_range(f"{first} + {second}", total, "0 to 1")
        if self.population not in _POPULATIONS:
            raise _out_of_range("population", self.population, " or ".join(_POPULATIONS))
        if self.sky_share not in _SKY_SHARES:
            raise _out_of_range("sky_share", self.sky_share, " or ".join(_SKY_SHARES))
        if self.population == "plain" and self.sky is not None:
            raise _out_of_range("sky", self.sky, "nothing, for the plain population has a modelled sky")
        for name, largest in (
            ("quasar_redshifts", _LARGEST_REDSHIFT),
            ("galaxy_redshifts", LARGEST_GALAXY_REDSHIFT),
        ):
            low, high = getattr(self, name)
            if not 0.0 <= low < high <= largest:
                raise _out_of_range(name, f"{low} to {high}", f"0 to {largest}, ascending")

    @property
    def release_name(self) -> ReleaseName:
        """``release``, or the survey's first where it is None."""
        return self.release or SIMULATED[self.survey].releases[0]

    @property
    def form_name(self) -> FormName:
        """``form``, or the survey's first where it is None."""
        return self.form or SIMULATED[self.survey].forms[0]


def _out_of_range(name: str, got: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        "A simulation setting is out of range.",
        where=name,
        got=got,
        allowed=allowed,
        remedy=f"Give {name} a value in the allowed range.",
        kind=ErrorKind.SIMULATION_SETTING,
    )
