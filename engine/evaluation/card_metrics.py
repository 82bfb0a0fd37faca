"""Metrics of a model's card, from an evaluation."""

from __future__ import annotations

import numpy as np

from engine.evaluation.detectors import TAIL
from engine.evaluation.results import ALL, DetectionResults

PREFIX = "planted_"
"""How the names of these metrics begin. The digests of models, which stores keep, cover these names."""


def card_metrics(results: DetectionResults) -> dict[str, float]:
    """Metrics by name, all of the tail probability and all signal-to-noise ratios.

    ``planted_auc_KIND_STRENGTH`` and ``planted_recall_KIND_STRENGTH`` for each kind and strength that was
    injected, with ``mean`` for the kind where it is that of the kinds that are not held out;
    ``planted_clean_selected``, the share of clean spectra at or below the threshold; ``planted_spectra`` and
    ``planted_seed``.
    """
    metrics = {
        f"{PREFIX}spectra": float(results.settings.spectra),
        f"{PREFIX}seed": float(results.settings.seed),
    }
    clean = results.clean_share(ALL, results.settings.threshold)
    metrics[f"{PREFIX}clean_selected"] = clean.selected.value
    for strength in results.settings.strengths:
        cells = [cell for kind in results.settings.kinds if (cell := results.cell(kind, strength))]
        rates = {cell.kind: cell.by(TAIL) for cell in cells}
        for kind, found in rates.items():
            metrics[f"{PREFIX}auc_{kind}_{strength:g}"] = found.auc.value
            metrics[f"{PREFIX}recall_{kind}_{strength:g}"] = found.recall.value
        means = {
            "auc": results.mean_rate(strength, TAIL, "auc"),
            "recall": results.mean_rate(strength, TAIL, "recall"),
        }
        metrics |= {
            f"{PREFIX}{name}_mean_{strength:g}": mean for name, mean in means.items() if np.isfinite(mean)
        }
    return metrics
