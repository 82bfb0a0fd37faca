"""Field: one model, the spectra that it is judged on, and what is finished of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.benchmark.contenders import Contender
from engine.benchmark.judged_spectra import JudgedSettings, JudgedSpectrum
from engine.benchmark.judging import Judge, Judgement
from engine.benchmark.quotas import Cost, Quota
from engine.benchmark.records import RecordKey, RecordPart, Records
from models.spectrum_model import SpectrumModel


@dataclass(frozen=True, eq=False)
class Field:
    """Where methods compete.

    Attributes
    ----------
    model : the scoring model.
    settings : of the spectra.
    tried : all spectra.
    """

    model: SpectrumModel
    settings: JudgedSettings
    tried: tuple[JudgedSpectrum, ...]

    @cached_property
    def judge(self) -> Judge:
        """Of the model."""
        return Judge(self.model)

    @cached_property
    def detected(self) -> tuple[JudgedSpectrum, ...]:
        """Those that are explained."""
        return tuple(each for each in self.tried if each.detected(self.settings.threshold))

    def key(self, spectrum: JudgedSpectrum, contender: Contender, part: RecordPart) -> RecordKey:
        """Of the record of one method on one spectrum."""
        card = self.model.card
        return RecordKey(
            model=card.digest,
            model_name=card.name,
            spectra=self.settings.to_dict(),
            number=spectrum.number,
            method=contender.name,
            settings=contender.settings,
            part=part,
        )

    def judged(
        self, spectrum: JudgedSpectrum, tasks: Sequence[tuple[Contender, RecordPart]], records: Records
    ) -> Iterator[Judgement]:
        """What is measured of one spectrum; what is in the records is not done again."""
        case = self.judge.case(spectrum)
        for contender, part in tasks:
            key = self.key(spectrum, contender, part)
            found = records.read(key)
            if found is None:
                found = case.judged(contender) if part == "judged" else case.controlled(contender)
                records.write(key, found)
            yield found


def trial(fields: Sequence[Field], contenders: Sequence[Contender], records: Records) -> Iterator[Cost]:
    """What each method costs, by the first detected spectrum of every field."""
    cases = [(field, field.detected[0]) for field in fields]
    for contender in contenders:
        found = [
            judgement
            for field, spectrum in cases
            for judgement in field.judged(spectrum, [(contender, "judged")], records)
        ]
        yield Cost(
            sum(each.seconds for each in found) / len(found),
            sum(each.measuring for each in found) / len(found),
        )


def tasks_of(
    place: int, contenders: Sequence[Contender], quotas: Mapping[str, Quota]
) -> list[tuple[Contender, RecordPart]]:
    """What is to be done with the detected spectrum at this place of every field."""
    judged: list[tuple[Contender, RecordPart]] = [
        (each, "judged") for each in contenders if place < quotas[each.name].judged
    ]
    return judged + [(each, "controlled") for each in contenders if place < quotas[each.name].controlled]


def work(
    fields: Sequence[Field],
    contenders: Sequence[Contender],
    quotas: Mapping[str, Quota],
    records: Records,
    share: tuple[int, int] = (0, 1),
) -> Iterator[int]:
    """Do all that the quotas say; gives the number of judgements done after each.

    ``share`` (k, n) does the k-th of n equal shares of the spectra.
    """
    done = 0
    most = max(quota.judged for quota in quotas.values())
    places = [(place, field) for place in range(most) for field in fields if place < len(field.detected)]
    for place, field in places[share[0] :: share[1]]:
        for _ in field.judged(field.detected[place], tasks_of(place, contenders, quotas), records):
            done += 1
            yield done
