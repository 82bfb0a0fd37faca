"""Single pixels: cosmic rays and hot pixels."""

from __future__ import annotations

from torch import Tensor, nn

from models.causes.template_bank import TemplateBank
from models.causes.whitened import Matched, WhitenedResidual, matched


class SinglePixels(TemplateBank):
    """One template for every pixel of the grid."""

    kept = 16
    sharpness = 3.0

    def search(self, spectrum: WhitenedResidual) -> Matched:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return matched(spectrum.filtered, spectrum.weight, spectrum.weighted_modes, spectrum)

    def rows(self, chosen: Tensor, spectrum: WhitenedResidual) -> Tensor:
        """See :class:`models.causes.template_bank.TemplateBank`."""
        return nn.functional.one_hot(chosen, len(spectrum.weight)).to(spectrum.weight.dtype)
