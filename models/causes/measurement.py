"""Measurement: what the best template of a cause says of one spectrum, with errors.

Of a template t and noise of covariance C the likeliest amplitude is t' C^-1 r / t' C^-1 t, with the error
1 / sqrt(t' C^-1 t). Its likelihood against no template is exp(s^2 / 2), with s its significance. An estimate
is the mean of a quantity over templates that are all as likely beforehand, weighted by that likelihood. Only
the templates of one mode count: those of the best one's sign, each of whose quantities lies where the largest
likelihood does not rise on the way from the best template's value; a quantity that is not continuous is that
of the best template. The error is the standard deviation over them, together with that of an even spread over
one step of the templates (step / sqrt(12)).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.causes.estimate import Estimate
from models.causes.quantities import PERCENT
from models.causes.template_bank import TemplateBank
from models.causes.whitened import Matched, WhitenedResidual


def best_template(bank: TemplateBank, found: Matched, spectrum: WhitenedResidual) -> Tensor | None:
    """The most significant template times its likeliest amplitude, (N,); None if none is usable."""
    if not bool(found.usable.any()):
        return None
    row = bank.rows(_best(bank, found)[None], spectrum)[0]
    of_modes = row @ spectrum.weighted_modes
    information = row.square() @ spectrum.weight - of_modes @ of_modes
    return row * ((row @ spectrum.filtered) / information)


def estimates(bank: TemplateBank, found: Matched, spectrum: WhitenedResidual) -> tuple[Estimate, ...]:
    """Of the quantities of ``bank``, which ``found`` these matches; none if no template is usable."""
    if not bool(found.usable.any()):
        return ()
    usable, best = found.usable, _best(bank, found)
    significance = found.significance.double()[usable]
    at = int(usable[:best].sum())
    values = bank.values(spectrum).double()[usable] if bank.quantities else significance[:, None]
    likelihood = 0.5 * significance.square()
    kept = significance * significance[at] > 0
    steps = bank.steps(int(best))
    for number, quantity in enumerate(bank.quantities if steps is None else ()):
        of_sign = likelihood.where(kept, -math.inf)
        own = values[:, number]
        kept = kept & (_falling(own, of_sign, at) if quantity.continuous else own == own[at])
    weight = torch.softmax(likelihood.where(kept, -math.inf), dim=0)
    result = []
    for number, quantity in enumerate(bank.quantities):
        mean, spread = _moments(values[:, number], weight)
        step = 0.0
        if quantity.continuous:
            step = _step(values[:, number], at) if steps is None else float(steps[number])
        result.append(Estimate(quantity, mean, math.hypot(spread, step / math.sqrt(12))))
    if bank.relative:
        norm = found.norm.double()[usable]
        mean, spread = _moments(significance / norm, weight)
        error = math.hypot(spread, float((weight / norm.square()).sum().sqrt()))
        result.append(Estimate(PERCENT, 100 * bank.relative * mean, 100 * error))
    return tuple(result)


def _best(bank: TemplateBank, found: Matched) -> Tensor:
    # Of a cause that only adds, what is most negative is the least likely.
    size = found.significance if bank.sign else found.significance.abs()
    return size.where(found.usable, -torch.inf).argmax()


def _falling(values: Tensor, likelihood: Tensor, best: int) -> Tensor:
    """Whether each value (T,) is reached from that of ``best`` without a rise of the largest likelihood."""
    distinct, which = torch.unique(values, return_inverse=True)
    largest = torch.full_like(distinct, -math.inf).scatter_reduce(0, which, likelihood, "amax")
    at = int(which[best])
    after = torch.nonzero(largest[at + 1 :] > largest[at:-1])[:, 0]
    before = torch.nonzero(largest[:at] > largest[1 : at + 1])[:, 0]
    last = at + int(after[0]) if len(after) else len(distinct) - 1
    first = int(before[-1]) + 1 if len(before) else 0
    reached: Tensor = (which >= first) & (which <= last)
    return reached


def _step(values: Tensor, best: int) -> float:
    """Distance of the distinct values next to that of ``best``, the mean of both sides; 0 without any."""
    distinct, which = torch.unique(values, return_inverse=True)
    at = int(which[best])
    low, high = max(at - 1, 0), min(at + 1, len(distinct) - 1)
    return float(distinct[high] - distinct[low]) / max(high - low, 1)


def _moments(values: Tensor, weight: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of values (T,) with weights (T,) whose sum is one."""
    mean = (weight * values).sum()
    return float(mean), float((weight * (values - mean).square()).sum().sqrt())
