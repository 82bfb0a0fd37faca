"""Records: what is finished of a benchmark, one small file for each spectrum, method and part.

A record holds a digest of all that it depends on: model, spectra, method and settings, version of the
measures. One of another digest, or a damaged one, does not count: it is made anew. Files are written
atomically. So a benchmark that was killed goes on where it was, and several processes may share a directory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.benchmark.judging import Judgement
from models.atomic_files import make_directories, write_durably
from models.digests import canonical_json, digest_of
from models.json_text import read_json
from models.output_files import writing

MEASURES_VERSION = 2
"""Raised when a measure changes its meaning: then no older record counts."""

RecordPart = Literal["judged", "controlled"]


@dataclass(frozen=True, slots=True)
class RecordKey:
    """What a record is of.

    Attributes
    ----------
    model : digest; spectra, settings : JSON-ready descriptions, of the spectra and of the method.
    model_name, method : names.
    number : of the spectrum.
    part : which measures.
    """

    model: str
    model_name: str
    spectra: Mapping[str, Any]
    number: int
    method: str
    settings: Mapping[str, Any]
    part: RecordPart

    @property
    def digest(self) -> str:
        """Of all that the record depends on."""
        return digest_of(
            canonical_json(
                {
                    "version": MEASURES_VERSION,
                    "model": self.model,
                    "spectra": dict(self.spectra),
                    "number": self.number,
                    "method": self.method,
                    "settings": dict(self.settings),
                    "part": self.part,
                }
            )
        )

    def path(self, directory: Path) -> Path:
        """Where the record is."""
        return directory / self.model_name / f"{self.number:06d}" / f"{self.method}.{self.part}.json"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    digest: str
    measures: dict[str, float | None]
    seconds: float
    measuring: float
    failure: str


@dataclass(frozen=True, slots=True)
class Records:
    """Those in a directory."""

    directory: Path

    def read(self, key: RecordKey) -> Judgement | None:
        """The record; None if there is none that counts."""
        try:
            found = _Record.model_validate(read_json(key.path(self.directory).read_bytes()))
        except (OSError, ValueError, ValidationError):
            return None  # made anew
        if found.digest != key.digest:
            return None
        measures = {
            name: math.nan if value is None else float(value) for name, value in found.measures.items()
        }
        return Judgement(measures, found.seconds, found.measuring, found.failure)

    def write(self, key: RecordKey, judgement: Judgement) -> None:
        """Write a record; one of the same name is replaced.

        Raises
        ------
        InputError : it cannot be written.
        """
        measures = {
            name: value if math.isfinite(value) else None for name, value in judgement.measures.items()
        }
        body = {
            "digest": key.digest,
            "measures": measures,
            "seconds": round(judgement.seconds, 4),
            "measuring": round(judgement.measuring, 4),
            "failure": judgement.failure,
        }
        path = key.path(self.directory)
        with writing(path):
            make_directories(path.parent)
            write_durably(path, canonical_json(body))
