"""Reconstruction scores against loops in float64, and what they say of bad pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BugError
from models.reconstruction_scores import (
    MASKED_LINES,
    RECONSTRUCTION_SCORES,
    line_pixels,
    reconstruction_scores,
)

# The published list, wavelengths in air.
AIR_LINES = (
    *(3726.040, 4101.734, 4340.472, 4861.352, 4958.911, 5006.843),
    *(6548.041, 6562.787, 6583.461, 6716.440, 6730.812),
)
COLUMN = {name: index for index, name in enumerate(RECONSTRUCTION_SCORES)}


def slow_scores(
    flux: np.ndarray, ivar: np.ndarray, good: np.ndarray, model: np.ndarray, z: float, wavelength: np.ndarray
) -> list[float]:
    """One spectrum, step by step in the published order."""
    result = []
    for form in ("published", "ivar"):
        for lines in ("all", "nolines"):
            pixels = [i for i in range(len(flux)) if good[i] and ivar[i] > 0]
            if lines == "nolines":
                rest = wavelength / (1 + z)
                near = [any(abs(r / line - 1) <= 250 / 299_792.458 for line in MASKED_LINES) for r in rest]
                pixels = [i for i in pixels if not near[i]]
            for percent in (100, 97):
                kept = pixels
                if percent == 97:
                    unit = np.ones(len(ivar)) if form == "published" else np.sqrt(ivar)
                    residual = np.abs(model - flux) * unit
                    ranked = sorted(pixels, key=residual.tolist().__getitem__)
                    kept = ranked[: int(0.97 * len(pixels))]
                square = {i: (model[i] - flux[i]) ** 2 for i in kept}
                if form == "published":
                    result.append(math.sqrt(sum(square.values())))
                    result.append(math.sqrt(sum(square[i] / (max(flux[i], 0) + 0.001) for i in kept)))
                else:
                    chi2 = sum(square[i] * ivar[i] for i in kept)
                    result += [chi2 / sum(ivar[i] for i in kept), chi2 / len(kept)]
    return result


def spectra(n: int, pixels: int, seed: int = 0) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=random)

    return {
        "flux": 0.5 + 0.7 * torch.randn(n, pixels, generator=random),
        "ivar": 10 * uniform(n, pixels) * (uniform(n, pixels) > 0.1),
        "good": uniform(n, pixels) > 0.2,
        "reconstruction": 1 + 0.1 * torch.randn(n, pixels, generator=random),
        "redshift": 0.5 * uniform(n),
        "wavelength": torch.linspace(3600, 9824, pixels, dtype=torch.float64),
    }


def test_names_and_order_of_the_columns() -> None:
    assert len(set(RECONSTRUCTION_SCORES)) == 16
    assert RECONSTRUCTION_SCORES[:3] == (
        "published_mse_all_100",
        "published_chi2_all_100",
        "published_mse_all_97",
    )
    assert RECONSTRUCTION_SCORES[-1] == "ivar_chi2_nolines_97"


@pytest.mark.parametrize(("n", "pixels"), [(70, 400), (3, 33), (1, 1)])
def test_agrees_with_loops(n: int, pixels: int) -> None:
    given_ = spectra(n, pixels)
    if pixels == 1:
        given_["good"][:] = True
        given_["ivar"][:] = 1
    found = reconstruction_scores(**given_)
    assert found.shape == (n, 16)
    assert found.dtype == torch.float32
    rows = [given_[name].double().numpy() for name in ("flux", "ivar", "good", "reconstruction", "redshift")]
    if pixels == 1:
        # int(0.97) pixels are none: there is nothing to score.
        assert torch.isnan(found[0]).tolist() == ["97" in name for name in RECONSTRUCTION_SCORES]
        return
    for row, *parts in zip(found.numpy(), *rows, strict=True):
        np.testing.assert_allclose(row, slow_scores(*parts, given_["wavelength"].numpy()), rtol=2e-5)


def test_rows_are_independent_of_their_company() -> None:
    given_ = spectra(70, 200, seed=1)
    whole = reconstruction_scores(**given_)
    for row in (0, 31, 32, 69):
        alone = {k: v if k == "wavelength" else v[row : row + 1] for k, v in given_.items()}
        torch.testing.assert_close(reconstruction_scores(**alone)[0], whole[row], rtol=1e-6, atol=0)


def test_masked_lines_are_the_published_ones_in_vacuum() -> None:
    # Air to vacuum: Piskunov's inverse of Ciddor 1996, as given by VALD.
    def vacuum(air: float) -> float:
        s = (1e4 / air) ** 2
        return air * (
            1
            + 8.336624212083e-5
            + 2.408926869968e-2 / (130.1065924522 - s)
            + 1.599740894897e-4 / (38.92568793293 - s)
        )

    # The published Hβ is 0.03 off NIST's; every window is at least 3 Angstrom wide on each side.
    assert list(MASKED_LINES) == pytest.approx([vacuum(line) for line in AIR_LINES], abs=0.04)
    borders = [line * (1 + side * 250 / 299_792.458) for line in MASKED_LINES for side in (-1, 1)]
    assert borders == sorted(borders), "line windows overlap: line_pixels counts borders"


def test_line_windows_follow_the_redshift() -> None:
    wavelength = torch.tensor([6564.61, 6570.0, 6570.2, 6559.2, 6559.0, 8205.76], dtype=torch.float64)
    inside = line_pixels(torch.tensor([0.0, 0.25]), wavelength)
    assert inside.tolist() == [[True, True, False, True, False, False], [False] * 5 + [True]]


def test_what_each_score_leaves_out() -> None:
    """One bad residual on a line, one elsewhere: scores that leave it out do not see it."""
    n_pixels = 200
    wavelength = torch.linspace(6000, 7000, n_pixels, dtype=torch.float64)
    line = int((wavelength - 6564.61).abs().argmin())
    flux = torch.ones(2, n_pixels)
    flux[0, line], flux[1, 5] = 9.0, 9.0
    ones = torch.ones(2, n_pixels)
    found = reconstruction_scores(flux, ones, ones > 0, ones, torch.zeros(2), wavelength)
    for name, column in COLUMN.items():
        on_line, elsewhere = found[:, column].tolist()
        assert (on_line == 0) == ("nolines" in name or "97" in name)
        assert (elsewhere == 0) == ("97" in name)
    assert found[0, COLUMN["published_mse_all_100"]] == 8
    assert found[0, COLUMN["published_chi2_all_100"]] == pytest.approx(8 / math.sqrt(9.001))
    assert found[0, COLUMN["ivar_mse_all_100"]] == found[0, COLUMN["ivar_chi2_all_100"]] == 64 / n_pixels


@given(st.floats(-5, 5))
def test_flux_near_or_below_zero_keeps_the_relative_score_finite(value: float) -> None:
    flux = torch.full((1, 50), value)
    ones = torch.ones(1, 50)
    found = reconstruction_scores(
        flux, ones, ones > 0, 0 * ones, torch.zeros(1), torch.linspace(6000, 6100, 50, dtype=torch.float64)
    )
    assert torch.isfinite(found).all()
    expected = math.sqrt(50 * float(np.float32(value)) ** 2 / (max(value, 0) + 0.001))
    assert found[0, COLUMN["published_chi2_all_100"]] == pytest.approx(expected, rel=1e-5)


def test_rows_that_cannot_be_scored_are_nan_and_leave_the_others_alone() -> None:
    given_ = spectra(7, 100, seed=2)
    clean = reconstruction_scores(**given_)
    given_["good"][0] = False
    given_["ivar"][1] = 0
    given_["reconstruction"][2, 7], given_["good"][2, 7], given_["ivar"][2, 7] = torch.nan, True, 1
    given_["redshift"][3] = torch.nan
    given_["flux"][4, 9], given_["good"][4, 9] = torch.inf, False
    given_["flux"][5, 9], given_["ivar"][5, 9] = torch.nan, 0
    found = reconstruction_scores(**given_)
    assert torch.isnan(found[:3]).all()
    assert torch.isnan(found[3]).tolist() == ["nolines" in name for name in RECONSTRUCTION_SCORES]
    assert torch.isfinite(found[4:]).all()
    torch.testing.assert_close(found[6], clean[6])


def test_a_wild_pixel_neither_overflows_nor_reaches_the_trimmed_scores() -> None:
    given_ = spectra(1, 100, seed=3)
    given_["good"][:], given_["ivar"][:] = True, 1
    given_["redshift"][:] = 0
    clean = reconstruction_scores(**given_)
    given_["flux"][0, 50] = 1e30
    found = reconstruction_scores(**given_)
    trimmed = [column for name, column in COLUMN.items() if "97" in name]
    assert (found[0, trimmed] < 2 * clean[0, trimmed]).all()
    assert found[0, COLUMN["published_mse_all_100"]] == pytest.approx(1e30, rel=1e-5)


def test_no_spectra_give_no_scores() -> None:
    given_ = {k: v if k == "wavelength" else v[:0] for k, v in spectra(2, 20).items()}
    assert reconstruction_scores(**given_).shape == (0, 16)


@pytest.mark.parametrize("name", ["flux", "ivar", "good", "reconstruction", "redshift", "wavelength"])
def test_shapes_that_do_not_fit_are_named(name: str) -> None:
    given_ = spectra(2, 20)
    given_[name] = given_[name][:1]
    with pytest.raises(BugError, match=r"do not fit together(.|\n)*flux \((1|2), 20\)"):
        reconstruction_scores(**given_)
