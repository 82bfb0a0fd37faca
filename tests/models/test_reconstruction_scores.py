"""Reconstruction scores against values worked out by hand and an independent NumPy version."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BugError
from models.line_mask import PUBLISHED_LINES, VACUUM_LINES, line_pixels
from models.reconstruction_scores import (
    ReconstructedSpectra,
    ReconstructionScore,
    reconstruction_scores,
)
from models.score_kinds import RECONSTRUCTION_SCORES

COLUMN = {name: index for index, name in enumerate(RECONSTRUCTION_SCORES)}


def published(
    flux: np.ndarray, model: np.ndarray, rest: np.ndarray, *, relative: bool, percent: int, velocity: float
) -> float:
    """One spectrum, in the published order, from its description: filter, residual, trim, square, weigh,
    root of the sum. All pixels given have data.
    """
    keep = np.ones(len(rest), dtype=bool)
    if velocity:
        for line in PUBLISHED_LINES:
            keep &= np.abs(rest - line) > line * velocity / 299_792.458
    flux, model = flux[keep], model[keep]
    residual = np.abs(model - flux)
    if percent != 100:
        smallest = np.argsort(residual, kind="stable")[: int(0.01 * percent * len(residual))]
        residual, flux = residual[smallest], flux[smallest]
    term = residual**2
    with np.errstate(divide="ignore", invalid="ignore"):
        if relative:
            term = term / (flux + 0.001)
        return float(term.sum() ** (1 / 2)) if term.sum() >= 0 else math.nan


def weighted(
    flux: np.ndarray, model: np.ndarray, ivar: np.ndarray, rest: np.ndarray, *, lines: bool, percent: int
) -> tuple[float, float]:
    """Inverse-variance weighted mean square and mean chi2 of one spectrum."""
    near = (np.abs(rest[:, None] / np.array(VACUUM_LINES) - 1) <= 250 / 299_792.458).any(axis=1)
    keep = ~near if lines else np.ones(len(rest), dtype=bool)
    chi = (np.abs(model - flux) * np.sqrt(ivar))[keep]
    order = np.argsort(chi, kind="stable")
    order = order[: int(0.97 * len(chi))] if percent != 100 else order
    chi2 = (chi[order] ** 2).sum()
    return chi2 / ivar[keep][order].sum(), chi2 / len(order)


def slow_scores(
    flux: np.ndarray, ivar: np.ndarray, good: np.ndarray, model: np.ndarray, z: float, wavelength: np.ndarray
) -> list[float]:
    """The 16 scores of one spectrum."""
    seen = (good > 0) & (ivar > 0)
    flux, ivar, model, rest = flux[seen], ivar[seen], model[seen], wavelength[seen] / (1 + z)
    result = [
        published(flux, model, rest, relative=relative, percent=percent, velocity=velocity)
        for velocity in (0.0, 250.0)
        for percent in (100, 97)
        for relative in (False, True)
    ]
    for lines in (False, True):
        for percent in (100, 97):
            result += weighted(flux, model, ivar, rest, lines=lines, percent=percent)
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
def test_agrees_with_an_independent_version(n: int, pixels: int) -> None:
    given_ = spectra(n, pixels)
    if pixels == 1:
        given_["good"][:] = True
        given_["ivar"][:] = 1
    found = reconstruction_scores(ReconstructedSpectra(**given_))
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
    whole = reconstruction_scores(ReconstructedSpectra(**given_))
    for row in (0, 31, 32, 69):
        alone = {k: v if k == "wavelength" else v[row : row + 1] for k, v in given_.items()}
        found = reconstruction_scores(ReconstructedSpectra(**alone))[0]
        torch.testing.assert_close(found, whole[row], rtol=1e-6, atol=0, equal_nan=True)


def test_masked_lines_are_the_published_ones_in_vacuum_with_both_of_oxygen() -> None:
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
    both = (*VACUUM_LINES[:1], *VACUUM_LINES[2:])
    assert list(both) == pytest.approx([vacuum(line) for line in PUBLISHED_LINES], abs=0.04)
    assert VACUUM_LINES[1] == pytest.approx(vacuum(3728.815), abs=0.02)


def test_line_windows_follow_the_redshift() -> None:
    wavelength = torch.tensor([6564.61, 6570.0, 6570.2, 6559.2, 6559.0, 8205.76], dtype=torch.float64)
    inside = line_pixels(torch.tensor([0.0, 0.25]), wavelength, VACUUM_LINES)
    assert inside.tolist() == [[True, True, False, True, False, False], [False] * 5 + [True]]


@pytest.mark.parametrize("lines", [PUBLISHED_LINES, VACUUM_LINES])
def test_line_windows_that_overlap_are_one(lines: tuple[float, ...]) -> None:
    wavelength = torch.arange(3700.0, 6800.0, 0.1, dtype=torch.float64)
    nearest = np.abs(wavelength.numpy()[:, None] / np.array(lines) - 1).min(axis=1)
    expected = (nearest <= 250 / 299_792.458).tolist()
    assert line_pixels(torch.zeros(1), wavelength, lines)[0].tolist() == expected


def test_values_worked_out_by_hand() -> None:
    """Four pixels: free of lines, in the published window of Hα only, in the true one only, in both."""
    scores = reconstruction_scores(
        ReconstructedSpectra(
            flux=torch.tensor([[1.0, 3.0, -0.25, 1.0]]),
            ivar=torch.tensor([[4.0, 1.0, 2.0, 1.0]]),
            good=torch.ones(1, 4, dtype=torch.bool),
            reconstruction=torch.tensor([[1.5, 1.0, 0.75, 1.0]]),
            redshift=torch.zeros(1),
            wavelength=torch.tensor([5200.0, 6558.0, 6569.0, 6563.0], dtype=torch.float64),
        )
    )[0]
    # Residuals 0.5, 2, 1, 0; their squares 0.25, 4, 1, 0; times ivar 1, 4, 2, 0.
    # Relative terms 0.25 / 1.001, 4 / 3.001, 1 / -0.249, 0: all four sum to -2.43.
    expected = {
        "published_mse_all_100": math.sqrt(5.25),
        "published_chi2_all_100": math.nan,
        "published_mse_all_97": math.sqrt(1.25),  # int(0.97 * 4) = 3 pixels: without the second
        "published_chi2_all_97": math.nan,
        "published_mse_nolines_100": math.sqrt(1.25),  # the first and the third
        "published_chi2_nolines_100": math.nan,
        "published_mse_nolines_97": 0.5,  # int(0.97 * 2) = 1 pixel
        "published_chi2_nolines_97": math.sqrt(0.25 / 1.001),
        "ivar_mse_all_100": 7 / 8,
        "ivar_chi2_all_100": 7 / 4,
        "ivar_mse_all_97": 3 / 7,  # residuals in sigma 1, 2, 1.4, 0: without the second
        "ivar_chi2_all_97": 3 / 3,
        "ivar_mse_nolines_100": 5 / 5,  # the first and the second
        "ivar_chi2_nolines_100": 5 / 2,
        "ivar_mse_nolines_97": 1 / 4,
        "ivar_chi2_nolines_97": 1 / 1,
    }
    assert dict(zip(RECONSTRUCTION_SCORES, scores.tolist(), strict=True)) == pytest.approx(
        expected, rel=1e-6, nan_ok=True
    )


def test_the_published_divisor_may_be_zero() -> None:
    """-0.001 + 0.001: infinite, or nothing over nothing."""
    ones = torch.ones(2, 3, dtype=torch.float64)
    flux = ones.clone()
    flux[:, 1] = -0.001
    model = ones.clone()
    model[1, 1] = -0.001
    found = reconstruction_scores(
        ReconstructedSpectra(
            flux, ones, ones > 0, model, torch.zeros(2), torch.linspace(5000, 5001, 3, dtype=torch.float64)
        )
    )
    assert found[0, COLUMN["published_chi2_all_100"]] == math.inf
    assert math.isnan(found[1, COLUMN["published_chi2_all_100"]])
    assert torch.isfinite(found[:, [i for name, i in COLUMN.items() if "published_chi2" not in name]]).all()


@pytest.mark.parametrize("name", RECONSTRUCTION_SCORES)
def test_modules_give_the_same_as_the_batch(name: str) -> None:
    given_ = spectra(40, 300, seed=6)
    module = ReconstructionScore(name)(ReconstructedSpectra(**given_))
    batch = reconstruction_scores(ReconstructedSpectra(**given_))[:, COLUMN[name]]
    torch.testing.assert_close(module.float(), batch, rtol=1e-6, atol=0, equal_nan=True)


def test_what_each_score_leaves_out() -> None:
    """One bad residual on a line, one elsewhere: scores that leave it out do not see it."""
    n_pixels = 200
    wavelength = torch.linspace(6000, 7000, n_pixels, dtype=torch.float64)
    line = int((wavelength - 6564.61).abs().argmin())
    flux = torch.ones(2, n_pixels)
    flux[0, line], flux[1, 5] = 9.0, 9.0
    ones = torch.ones(2, n_pixels)
    found = reconstruction_scores(
        ReconstructedSpectra(flux, ones, ones > 0, ones, torch.zeros(2), wavelength)
    )
    for name, column in COLUMN.items():
        on_line, elsewhere = found[:, column].tolist()
        assert (on_line == 0) == ("nolines" in name or "97" in name)
        assert (elsewhere == 0) == ("97" in name)
    assert found[0, COLUMN["published_mse_all_100"]] == 8
    assert found[0, COLUMN["published_chi2_all_100"]] == pytest.approx(8 / math.sqrt(9.001))
    assert found[0, COLUMN["ivar_mse_all_100"]] == found[0, COLUMN["ivar_chi2_all_100"]] == 64 / n_pixels


@given(st.floats(-5, 5))
def test_the_default_form_is_finite_whatever_the_flux(value: float) -> None:
    flux = torch.full((1, 50), value)
    ones = torch.ones(1, 50)
    wavelength = torch.linspace(6000, 6100, 50, dtype=torch.float64)
    found = reconstruction_scores(
        ReconstructedSpectra(flux, ones, ones > 0, 0 * ones, torch.zeros(1), wavelength)
    )
    default = [column for name, column in COLUMN.items() if name.startswith("ivar")]
    np.testing.assert_allclose(found[0, default].numpy(), np.float32(value) ** 2, rtol=1e-6)


def test_rows_that_cannot_be_scored_are_nan_and_leave_the_others_alone() -> None:
    given_ = spectra(7, 100, seed=2)
    given_["flux"].abs_()
    clean = reconstruction_scores(ReconstructedSpectra(**given_))
    given_["good"][0] = False
    given_["ivar"][1] = 0
    given_["reconstruction"][2, 7], given_["good"][2, 7], given_["ivar"][2, 7] = torch.nan, True, 1
    given_["redshift"][3] = torch.nan
    given_["flux"][4, 9], given_["good"][4, 9] = torch.inf, False
    given_["flux"][5, 9], given_["ivar"][5, 9] = torch.nan, 0
    found = reconstruction_scores(ReconstructedSpectra(**given_))
    assert torch.isnan(found[:3]).all()
    assert torch.isnan(found[3]).tolist() == ["nolines" in name for name in RECONSTRUCTION_SCORES]
    assert torch.isfinite(found[4:]).all()
    torch.testing.assert_close(found[6], clean[6])


def test_a_wild_pixel_neither_overflows_nor_reaches_the_trimmed_scores() -> None:
    given_ = spectra(1, 100, seed=3)
    given_["flux"].abs_()
    given_["good"][:], given_["ivar"][:] = True, 1
    given_["redshift"][:] = 0
    clean = reconstruction_scores(ReconstructedSpectra(**given_))
    given_["flux"][0, 50] = 1e30
    found = reconstruction_scores(ReconstructedSpectra(**given_))
    trimmed = [column for name, column in COLUMN.items() if "97" in name]
    assert (found[0, trimmed] < 2 * clean[0, trimmed]).all()
    assert found[0, COLUMN["published_mse_all_100"]] == pytest.approx(1e30, rel=1e-5)


def test_no_spectra_give_no_scores() -> None:
    given_ = {k: v if k == "wavelength" else v[:0] for k, v in spectra(2, 20).items()}
    assert reconstruction_scores(ReconstructedSpectra(**given_)).shape == (0, 16)


@pytest.mark.parametrize("name", ["flux", "ivar", "good", "reconstruction", "redshift", "wavelength"])
def test_shapes_that_do_not_fit_are_named(name: str) -> None:
    given_ = spectra(2, 20)
    given_[name] = given_[name][:1]
    with pytest.raises(BugError, match=r"do not fit together(.|\n)*flux \((1|2), 20\)"):
        reconstruction_scores(ReconstructedSpectra(**given_))
