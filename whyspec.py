"""whyspec in Python: stores, spectra, explanations and models, for notebooks and scripts.

See docs/python.md. What ``__all__`` names is stable; the errors are those of :mod:`models.errors`.
"""

from __future__ import annotations

from flows.interface.benchmark import Benchmark, benchmark
from flows.interface.explaining import explain
from flows.interface.explanation import Explanation
from flows.interface.files import read
from flows.interface.model import Model, load_model, models
from flows.interface.runs import attribute, cluster, plan, report, run
from flows.interface.spectrum import Spectrum
from flows.interface.store import Store
from flows.interface.store import open_store as open  # noqa: A004 - as users of other stores know it
from models.errors import WhyspecError

__all__ = [
    "Benchmark",
    "Explanation",
    "Model",
    "Spectrum",
    "Store",
    "WhyspecError",
    "attribute",
    "benchmark",
    "cluster",
    "explain",
    "load_model",
    "models",
    "open",
    "plan",
    "read",
    "report",
    "run",
]
