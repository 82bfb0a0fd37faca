"""Measures of a benchmark: what is measured of a map, which way is better, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Part = Literal["truth", "faithfulness", "controls"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number for one map of one spectrum.

    Attributes
    ----------
    name : in JSON.
    heading : in tables.
    part : which family it belongs to; ``controls`` cost several more explanations.
    better : which way.
    summary : how the numbers of many spectra become one: a share of yes, a mean, or a median where a few
        spectra may hold very large numbers.
    meaning : in a sentence.
    source : where the definition is from.
    """

    name: str
    heading: str
    part: Part
    better: Literal["high", "low"]
    summary: Literal["share", "mean", "median"]
    meaning: str
    source: str


_MEASURES = (
    Measure(
        "located", "located", "truth", "high", "share",
        "the highest point of the map is on an injected pixel or within 10 Å of one",
        "pointing game, 1608.00507",
    ),
    Measure(
        "auc", "AUC", "truth", "high", "mean",
        "the chance that an injected pixel has a higher value than another", "docs/evaluation.md",
    ),
    Measure(
        "average_precision", "AP", "truth", "high", "mean",
        "average precision of pixels ranked by the map: AUC hardly sees errors where few pixels are injected",
        "scikit-learn",
    ),
    Measure(
        "mass", "mass", "truth", "high", "mean",
        "the share of positive attribution on injected pixels", "relevance mass, 2003.07258",
    ),
    Measure(
        "width", "width", "truth", "high", "share",
        "the first place is on the injected interval, and as wide within a factor of two",
        "docs/evaluation.md",
    ),
    Measure(
        "deletion", "deletion", "faithfulness", "low", "median",
        "the score, as a share of its rise, while pixels are replaced, the highest first: mean over the way",
        "1806.07421",
    ),
    Measure(
        "insertion", "insertion", "faithfulness", "high", "median",
        "the same while pixels are put back, the highest first", "1806.07421",
    ),
    Measure(
        "cpd", "CPD", "faithfulness", "high", "median",
        "how far the score moves, up and down, while a tenth of the pixels is replaced, the largest |value| "
        "first",
        "2506.05035",
    ),
    Measure(
        "cpp", "CPP", "faithfulness", "low", "median",
        "the same, the smallest |value| first", "2506.05035",
    ),
    Measure(
        "mu_fidelity", "mu-fidelity", "faithfulness", "high", "mean",
        "correlation of what random fifths of all segments hold of the map with what the score loses without "
        "them",
        "2005.00631",
    ),
    Measure(
        "infidelity", "infidelity", "faithfulness", "low", "mean",
        "square error of what random windows hold of the map against what the score loses without them, the "
        "map being scaled as suits it, over the square of the loss",
        "1901.09392",
    ),
    Measure(
        "noise_sensitivity", "noise", "controls", "low", "median",
        "relative change of the map under further noise of 0.3 of each error, the larger of two draws",
        "1901.09392",
    ),
    Measure(
        "settings_sensitivity", "settings", "controls", "low", "median",
        "relative change of the map, brought to unit length, under other settings: another seed, half the "
        "samples, scales in between; the largest",
        "2003.08754",
    ),
    Measure(
        "random_weights", "random weights", "controls", "low", "median",
        "|rank correlation| of |map| with that of a model whose weights are shuffled", "1810.03292",
    ),
    Measure(
        "leak", "leak", "controls", "low", "median",
        "share of |attribution| in the half of the spectrum that the scorer cannot see, beyond the widest "
        "scale",
        "DiFull, 2303.11884",
    ),
    Measure(
        "exact_zero", "exactly 0", "controls", "high", "share",
        "nothing at all there", "DiFull, 2303.11884",
    ),
    Measure(
        "decoy", "decoys", "controls", "low", "median",
        "share of |attribution| on loud lines put into that half", "ChaosMining, 2406.12150",
    ),
    Measure(
        "decoyed", "peak there", "controls", "low", "share",
        "the highest point is in that half", "ChaosMining, 2406.12150",
    ),
    Measure(
        "model_contrast", "model contrast", "controls", "high", "mean",
        "share of |attribution| on injected pixels, less the same for a scorer that cannot see them",
        "BAM, 1907.09701",
    ),
    Measure(
        "input_dependence", "input dependence", "controls", "high", "share",
        "injected pixels have more attribution than the same pixels of the clean twin", "BAM, 1907.09701",
    ),
)  # fmt: skip

MEASURES: Mapping[str, Measure] = MappingProxyType({each.name: each for each in _MEASURES})
"""By name, in the order of tables."""


def measures_of(*parts: Part) -> tuple[Measure, ...]:
    """Those of these families, in order."""
    return tuple(each for each in MEASURES.values() if each.part in parts)
