"""Results of a benchmark: every judged map, what it cost, every detector; and their JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.benchmark.contenders import Contender
from engine.benchmark.detectors import DetectorRate
from engine.benchmark.field import Field
from engine.benchmark.intervals import median, summary
from engine.benchmark.judged_spectra import JudgedSpectrum
from engine.benchmark.measures import MEASURES, Measure
from engine.benchmark.quotas import Quota
from engine.benchmark.records import Records
from engine.evaluation.explanation_summary import Estimate, share
from engine.evaluation.localisation import InjectedPlace

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One tried spectrum, without its arrays.

    Attributes
    ----------
    model : name of the model that scored it.
    number : its place among those tried.
    kind : of the anomaly.
    strength : sigma of the whole change; per_pixel : sigma of one injected pixel.
    redshift, snr : of the spectrum.
    tail, clean_tail : tail probabilities with and without the anomaly.
    detected : whether maps of it are judged.
    area, chance : injected pixels' share of good ones, and how often a random peak counts as located.
    """

    model: str
    number: int
    kind: str
    strength: float
    per_pixel: float
    redshift: float
    snr: float
    tail: float
    clean_tail: float
    detected: bool
    area: float
    chance: float


@dataclass(frozen=True)
class JudgedMap:
    """One method on one spectrum.

    Attributes
    ----------
    spectrum : which.
    measures : by name; those of the controls only where these were done.
    seconds : of one processor.
    failure : why there is no map; empty if there is one.
    """

    spectrum: Spectrum
    measures: Mapping[str, float]
    seconds: float
    failure: str

    def measure(self, name: str) -> float:
        """NaN where it was not measured."""
        return self.measures.get(name, math.nan)


@dataclass(frozen=True)
class MethodResults:
    """One method.

    Attributes
    ----------
    name, settings : of the method.
    passes : by model.
    maps : every judged one.
    """

    name: str
    settings: Mapping[str, Any]
    passes: Mapping[str, int]
    maps: tuple[JudgedMap, ...]

    def estimate(self, measure: Measure, model: str | None = None) -> Estimate:
        """Over the spectra of a model, or of all."""
        return summary(measure, [each.measure(measure.name) for each in self.of(model)])

    def seconds(self, model: str | None = None) -> Estimate:
        """Of one processor for one spectrum, the median: the first one loads what a method needs."""
        return median([each.seconds for each in self.of(model)])

    @property
    def explained(self) -> Estimate:
        """Share of spectra with a map."""
        return share([not each.failure for each in self.maps])

    @property
    def failures(self) -> Mapping[str, int]:
        """Why there are no maps, with numbers."""
        return Counter(each.failure for each in self.maps if each.failure)

    def of(self, model: str | None) -> list[JudgedMap]:
        """Maps of spectra of a model; all if None."""
        return [each for each in self.maps if model in (None, each.spectrum.model)]


@dataclass(frozen=True)
class BenchmarkResults:
    """All of one benchmark.

    Attributes
    ----------
    settings : JSON-ready, what was asked; models : digests by name.
    spectra : everything that was tried.
    methods : in the order in which they were named.
    detectors : their rates.
    """

    settings: Mapping[str, Any]
    models: Mapping[str, str]
    spectra: tuple[Spectrum, ...]
    methods: tuple[MethodResults, ...]
    detectors: tuple[DetectorRate, ...]

    def method(self, name: str) -> MethodResults:
        """Of that name."""
        return next(each for each in self.methods if each.name == name)

    @property
    def detected(self) -> list[Spectrum]:
        """Spectra whose maps are judged."""
        return [each for each in self.spectra if each.detected]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description: of every method its estimates, and a column for each measure."""
        return {
            "schema": SCHEMA,
            "settings": dict(self.settings),
            "models": dict(self.models),
            "measures": [asdict(each) for each in MEASURES.values()],
            "spectra": [_plain(asdict(each)) for each in self.spectra],
            "methods": [self._method(each) for each in self.methods],
            "detectors": [_plain(asdict(each)) for each in self.detectors],
        }

    def _method(self, method: MethodResults) -> dict[str, Any]:
        estimates = {
            each.name: {
                name or "all": _plain(asdict(method.estimate(each, name))) for name in (None, *self.models)
            }
            for each in MEASURES.values()
        }
        return {
            "name": method.name,
            "settings": dict(method.settings),
            "passes": dict(method.passes),
            "seconds": {name or "all": _plain(asdict(method.seconds(name))) for name in (None, *self.models)},
            "failures": dict(method.failures),
            "estimates": estimates,
            "maps": {
                "model": [each.spectrum.model for each in method.maps],
                "number": [each.spectrum.number for each in method.maps],
                **{
                    each.name: [_number(one.measure(each.name)) for one in method.maps]
                    for each in MEASURES.values()
                },
            },
        }


def collected(
    settings: Mapping[str, Any],
    fields: Sequence[Field],
    contenders: Sequence[Contender],
    quotas: Mapping[str, Quota],
    records: Records,
    detectors: tuple[DetectorRate, ...],
) -> BenchmarkResults:
    """What the records hold."""
    known = {id(each): _spectrum(field, each) for field in fields for each in field.tried}
    methods = []
    for contender in contenders:
        quota = quotas[contender.name]
        maps = [
            _map(field, each, known[id(each)], contender, records)
            for field in fields
            for each in field.detected[: quota.judged]
        ]
        passes = {field.model.card.name: contender.passes(field.model.card.grid.size) for field in fields}
        methods.append(MethodResults(contender.name, contender.settings, passes, tuple(filter(None, maps))))
    return BenchmarkResults(
        settings=settings,
        models={field.model.card.name: field.model.card.digest for field in fields},
        spectra=tuple(known.values()),
        methods=tuple(methods),
        detectors=detectors,
    )


def _spectrum(field: Field, each: JudgedSpectrum) -> Spectrum:
    injected = each.injected
    wavelength = field.model.card.grid.wavelength()
    place = InjectedPlace(wavelength, injected.ivar[0] > 0, injected.injected[0])
    return Spectrum(
        model=field.model.card.name,
        number=each.number,
        kind=each.kind,
        strength=each.strength,
        per_pixel=each.per_pixel,
        redshift=float(injected.redshift[0]),
        snr=float(injected.snr[0]),
        tail=each.tail,
        clean_tail=each.clean_tail,
        detected=each.detected(field.settings.threshold),
        area=place.area,
        chance=place.chance,
    )


def _map(
    field: Field, each: JudgedSpectrum, spectrum: Spectrum, contender: Contender, records: Records
) -> JudgedMap | None:
    judged = records.read(field.key(each, contender, "judged"))
    if judged is None:
        return None
    controlled = records.read(field.key(each, contender, "controlled"))
    measures = {**judged.measures, **(controlled.measures if controlled else {})}
    return JudgedMap(spectrum, measures, judged.seconds, judged.failure)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: Any) -> Any:
    """Floats to six digits, null for those that are not finite: JSON has no NaN."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
