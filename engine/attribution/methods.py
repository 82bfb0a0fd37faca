"""Methods of attribution, all of them: a new one needs a file of its own and a line here."""

from __future__ import annotations

from typing import Any

from engine.attribution.aggregate import AGGREGATE
from engine.attribution.attribution import Attribution
from engine.attribution.expected_gradients import EXPECTED_GRADIENTS
from engine.attribution.extremal_masks import EXTREMAL_MASKS
from engine.attribution.gradient_times_input import GRADIENT_TIMES_INPUT
from engine.attribution.integrated_gradients import INTEGRATED_GRADIENTS
from engine.attribution.method import AttributionMethod, MethodSettings
from engine.attribution.occlusion.method import OCCLUSION
from engine.attribution.plain_occlusion import PLAIN_OCCLUSION
from engine.attribution.repair import REPAIR
from engine.attribution.residual import RESIDUAL
from engine.attribution.saliency import SALIENCY
from engine.attribution.segment_gradients import SEGMENT_GRADIENTS
from engine.attribution.segments.exact_shapley import EXACT_SHAPLEY
from engine.attribution.segments.kernel_shap import KERNEL_SHAP
from engine.attribution.segments.lime import LIME
from engine.attribution.segments.minimal_set import MINIMAL_SET
from engine.attribution.segments.permutation_shapley import PERMUTATION_SHAPLEY
from engine.attribution.segments.ranked_regions import RANKED_REGIONS
from engine.attribution.segments.sobol import SOBOL
from engine.attribution.smooth_gradient import SMOOTH_GRADIENT
from engine.attribution.wavelet_attribution import WAVELET
from engine.attribution.wavelet_sobol import WAVELET_SOBOL

METHODS: dict[str, AttributionMethod[Any, Attribution]] = {
    method.name: method
    for method in (
        OCCLUSION,
        PLAIN_OCCLUSION,
        GRADIENT_TIMES_INPUT,
        INTEGRATED_GRADIENTS,
        RESIDUAL,
        LIME,
        KERNEL_SHAP,
        PERMUTATION_SHAPLEY,
        EXACT_SHAPLEY,
        SOBOL,
        MINIMAL_SET,
        RANKED_REGIONS,
        SALIENCY,
        SMOOTH_GRADIENT,
        EXPECTED_GRADIENTS,
        SEGMENT_GRADIENTS,
        REPAIR,
        WAVELET,
        WAVELET_SOBOL,
        EXTREMAL_MASKS,
        AGGREGATE,
    )
}
"""By name; the first is the default."""

DEFAULT_METHOD = next(iter(METHODS))
"""Name of the method of those who name none."""

SECOND_METHOD = REPAIR.name
"""Name of the method of those who name none for outliers that are explained already
(docs/decisions/0053-repair-is-the-second-question.md)."""


def method_of(settings: MethodSettings) -> AttributionMethod[Any, Attribution]:
    """The method that these settings are of."""
    return METHODS[settings.method]
