"""The naming of causes: shares of the score until it is fitted, the truth of its examples after."""

from __future__ import annotations

import torch

from models.causes.names import TEMPLATE_CAUSES
from models.scoring.joint_score import JointScore, shares
from models.scoring.naming import Naming, PartEvidence

WIDTHS = 3
PARTS = len(shares(WIDTHS))
UNKNOWN = len(TEMPLATE_CAUSES)


def examples(count: int, slope: float, seed: int) -> tuple[PartEvidence, torch.Tensor]:
    """Evidence of parts that are alike but for that of the true cause, ``slope`` times as telling."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, UNKNOWN + 1, (count,), generator=generator)
    depth = torch.rand(count, PARTS, generator=generator, dtype=torch.float64)
    ratio = torch.randn(count, PARTS, generator=generator, dtype=torch.float64)
    first = PARTS - len(TEMPLATE_CAUSES)
    place = torch.where(truth == UNKNOWN, first - 1, first + truth)
    depth[torch.arange(count), place] += slope * torch.rand(count, generator=generator, dtype=torch.float64)
    return PartEvidence(depth, ratio), truth


def test_before_it_is_fitted_a_probability_is_the_share_of_the_mean_inverse_tail() -> None:
    joint = JointScore(WIDTHS)
    raw = torch.rand(5, PARTS, dtype=torch.float64)
    depth, redshift = torch.full((5,), 4.0), torch.full((5,), 0.2, dtype=torch.float64)
    terms = torch.stack([part(raw[:, k], depth, redshift) for k, part in enumerate(joint.parts)], dim=-1)
    inverse = torch.exp(terms) * torch.tensor(shares(WIDTHS))
    wanted = (inverse / inverse.sum(dim=-1, keepdim=True))[:, -len(TEMPLATE_CAUSES) :]
    torch.testing.assert_close(joint.cause_probabilities(raw, depth, redshift), wanted)


def test_a_fit_learns_what_tells_causes_apart() -> None:
    naming = Naming()
    naming.fit(*examples(4000, 12.0, seed=1))
    evidence, truth = examples(2000, 12.0, seed=2)
    found = naming(evidence)
    whole = torch.cat((found, 1 - found.sum(dim=-1, keepdim=True)), dim=-1)
    named = whole.argmax(dim=-1)
    assert float((named == truth).double().mean()) > 0.8
    # And it knows how often it is right.
    assert abs(float(whole.amax(dim=-1).mean() - (named == truth).double().mean())) < 0.03


def test_what_says_nothing_of_the_cause_is_given_little_weight() -> None:
    naming = Naming()
    naming.fit(*examples(4000, 0.0, seed=3))
    found = naming(examples(500, 0.0, seed=4)[0])
    assert float(found.max()) < 0.2


def test_the_naming_holds_where_every_tail_is_extrapolated() -> None:
    naming = Naming()
    evidence, _ = examples(3, 0.0, seed=5)
    found = naming(PartEvidence(evidence.depth * 1e5, evidence.ratio * 1e5))
    assert found.isfinite().all()
    assert float(found.sum(dim=-1).max()) <= 1 + 1e-12
