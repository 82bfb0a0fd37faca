"""whyspec in Python: stores, spectra, explanations and models, for notebooks and scripts.

See docs/python.md. Only what ``__all__`` names is stable; errors are those of :mod:`models.errors`.
"""

from __future__ import annotations

from flows.interface.explanation import Explanation
from flows.interface.spectrum import Spectrum
from flows.interface.store import Store
from flows.interface.store import open_store as open  # noqa: A004 - as users of stores know it
from models.errors import WhyspecError

__all__ = ["Explanation", "Spectrum", "Store", "WhyspecError", "open"]
