"""Figure of one explanation."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from engine.attribution.explanation import Explanation
from engine.attribution.method import Units
from engine.figures.explanation import (
    HEIGHT,
    WIDTH,
    explanation_figure,
    image_columns,
    smoothed,
)
from engine.figures.spectrum_score import SpectrumScore
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from models.causes.quantities import QUANTITIES
from models.grid import WavelengthGrid
from tests.place_arrays import place_arrays

SCORE = SpectrumScore("GALAXY", 41.2, 2e-4)
NO_PLACES = {name: each[0] for name, each in place_arrays(np.array([np.nan]), np.zeros(1)).items()}


def explained(grid: WavelengthGrid = DESI_GRID, redshift: float = 0.2) -> Explanation:
    generator = np.random.default_rng(0)
    wavelength = grid.wavelength()
    line = np.exp(-0.5 * ((wavelength - 5008.24 * (1 + redshift)) / 6) ** 2)
    ivar = np.full(grid.size, 25.0)
    ivar[2000:2100] = 0.0
    combined = np.where(ivar > 0, 3 * line - 0.1, 0.0)
    places = place_arrays(wavelength[[combined.argmax()]], np.array([redshift]))
    maps = np.stack([combined * 0.1, combined, combined * 5])
    return Explanation(
        grid=grid,
        scales=(1, 16, 256),
        units=Units(),
        row=7,
        key="iron/main/bright/39627787712826532",
        target_id=39627787712826532,
        redshift=redshift,
        model=0,
        flux=1 + 4 * line + 0.2 * generator.normal(size=grid.size),
        ivar=ivar,
        baseline=np.ones(grid.size),
        maps=maps,
        spread=np.abs(maps) / 3,
        combined=combined,
        explained_score=41.2,
        baseline_score=2.0,
        **{name: values[0] for name, values in places.items()},
        cause="",
        cause_probability=float("nan"),
        instrument_probability=float("nan"),
        other_class="",
        estimate=np.full(len(QUANTITIES), np.nan),
        estimate_error=np.full(len(QUANTITIES), np.nan),
        not_testable="",
        reconstruction=np.ones(grid.size),
        template=np.full(grid.size, np.nan),
        trials=9000,
        cautions=0,
    )


def png(spectrum: Explanation, score: SpectrumScore = SCORE, dpi: int = 50) -> Image.Image:
    buffer = io.BytesIO()
    explanation_figure(spectrum, score, "occlusion").savefig(buffer, dpi=dpi)
    return Image.open(buffer)


def texts(spectrum: Explanation) -> str:
    figure = explanation_figure(spectrum, SCORE, "occlusion")
    found = list(figure.texts) + [text for axes in figure.axes for text in axes.texts]
    return "\n".join(text.get_text() for text in found)


@pytest.mark.parametrize("grid", [DESI_GRID, SDSS_GRID], ids=["desi", "sdss"])
def test_size_is_always_the_same_and_so_are_the_bytes(grid: WavelengthGrid) -> None:
    first, second = png(explained(grid)), png(explained(grid))
    assert first.size == (int(WIDTH * 50), int(HEIGHT * 50))
    assert first.tobytes() == second.tobytes()


def test_it_names_spectrum_lines_and_the_first_place() -> None:
    told = texts(explained())
    assert "iron/main/bright/39627787712826532" in told
    assert "GALAXY  z = 0.2000    score 41.2    tail probability 0.0002" in told
    assert "[O III] 5008" in told
    assert "Si IV" not in told  # outside the observed range at this redshift
    assert "[O III] 5008 6009.6 Å, 12 Å wide, excess, 50%" in told
    assert "place: none: the attribution is uniform" in texts(replace(explained(), **NO_PLACES))


@pytest.mark.parametrize("grid", [DESI_GRID, SDSS_GRID], ids=["desi", "sdss"])
def test_everything_written_is_inside_the_figure_and_apart_from_the_ticks(grid: WavelengthGrid) -> None:
    figure = explanation_figure(
        replace(explained(grid), flux=-1234.5 * explained(grid).flux), SCORE, "occlusion"
    )
    figure.draw_without_rendering()
    whole = figure.bbox
    for axes in figure.axes:
        written = [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.legend_, *figure.texts]
        for text in filter(None, written):
            box = text.get_window_extent()
            assert box.x0 >= whole.x0, text
            assert box.x1 <= whole.x1, text
            assert box.y0 >= whole.y0, text
            assert box.y1 <= whole.y1, text


def test_line_names_do_not_overlap() -> None:
    figure = explanation_figure(explained(redshift=0.05), SCORE, "occlusion")
    strip = figure.axes[0]
    places = sorted(text.get_position()[0] for text in strip.texts)
    first, last = strip.get_xlim()
    height_of_text = 7.5 / 72 / (WIDTH * strip.get_position().width) * (last - first)
    assert len(places) > 15
    assert np.diff(places).min() > height_of_text


def test_colours_are_symmetric_about_zero() -> None:
    figure = explanation_figure(explained(), SCORE, "occlusion")
    for axes in figure.axes:
        for image in axes.images:
            assert image.norm.vmin == -image.norm.vmax  # type: ignore[operator]


@pytest.mark.parametrize(
    ("change", "score"),
    [
        ({"ivar": np.zeros(DESI_GRID.size)}, SCORE),
        ({"flux": np.full(DESI_GRID.size, np.nan)}, SCORE),
        ({"combined": np.zeros(DESI_GRID.size), "maps": np.zeros((3, DESI_GRID.size))}, SCORE),
        ({"combined": np.full(DESI_GRID.size, -1.0)}, SCORE),
        ({"redshift": float("nan")}, SpectrumScore("GALAXY")),
        (NO_PLACES, SCORE),
        ({"redshift": 5.0}, SCORE),
        ({"key": "$\\nosuch{$ <script> _x_"}, replace(SCORE, spectype="$\\bad$")),
    ],
)
def test_odd_spectra_are_drawn_all_the_same(change: dict[str, object], score: SpectrumScore) -> None:
    assert png(replace(explained(), **change), score).size == (int(WIDTH * 50), int(HEIGHT * 50))  # type: ignore[arg-type]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"grid of 7781 pixels with 3 scales: flux \(5,\)"):
        replace(explained(), flux=np.ones(5))
    with pytest.raises(ValueError, match=r"3 scales: maps \(2, 7781\)"):
        replace(explained(), maps=np.ones((2, DESI_GRID.size)))


@pytest.mark.parametrize("grid", [DESI_GRID, SDSS_GRID, WavelengthGrid("few", "linear", 4000.0, 1.0, 40)])
def test_columns_keep_the_largest_pixel_whatever_its_sign(grid: WavelengthGrid) -> None:
    rows = np.zeros((2, grid.size))
    rows[0, 17], rows[1, 31] = 5.0, -7.0
    rows[1, 32] = np.nan
    first, last, columns = image_columns(rows, grid)
    assert columns[0].max() == 5.0
    assert columns[1].min() == -7.0
    assert np.isfinite(columns).all()
    centre = first + (np.flatnonzero(columns[0] == 5.0).mean() + 0.5) * (last - first) / columns.shape[1]
    width = (last - first) / columns.shape[1]
    assert abs(centre - grid.wavelength()[17]) < 3 * width


def test_smoothing_skips_masked_pixels_and_keeps_the_flux_of_bright_lines() -> None:
    flux, ivar = np.ones(200), np.ones(200)
    flux[100], ivar[100] = 1e6, 0.0
    flux[48:53], ivar[48:53] = 101.0, 1e-4
    mean, sigma = smoothed(flux, ivar)
    assert np.isnan(mean[100])
    assert np.nanmax(mean[80:]) < 1.0 + 1e-9
    np.testing.assert_allclose(np.nansum(mean[20:80] - 1.0), 500.0, rtol=1e-6)
    np.testing.assert_allclose(sigma[150], 1.0)


def legend(spectrum: Explanation, method: str = "occlusion") -> list[str]:
    axes = explanation_figure(spectrum, SCORE, method).axes[1]
    assert axes.legend_ is not None
    return [text.get_text() for text in axes.legend_.get_texts()]


def test_the_best_template_is_drawn_where_it_is_and_told_with_its_estimates() -> None:
    plain = explained()
    template = np.zeros(plain.grid.size)
    template[3000:3010] = 2.0
    estimate, error = np.full((2, len(QUANTITIES)), np.nan)
    at = list(QUANTITIES).index("redshift")
    estimate[at], error[at] = 0.41372, 0.00021
    given = replace(
        plain, cause="second_redshift", template=template, estimate=estimate, estimate_error=error,
        reconstruction=np.full(plain.grid.size, 1.5),
    )  # fmt: skip
    assert "cause: second redshift; redshift 0.41372 ± 0.00021" in legend(given)
    line = next(
        each
        for each in explanation_figure(given, SCORE, "occlusion").axes[1].lines
        if str(each.get_label()).startswith("cause")
    )
    drawn = np.asarray(line.get_ydata(), dtype=np.float64)
    where = np.flatnonzero(np.isfinite(drawn))
    assert (where[0], where[-1]) == (3000 - 9, 3009 + 9)
    # Smoothed as the spectrum is: between the reconstruction and the template on it.
    assert 2.5 < drawn.max(initial=0, where=np.isfinite(drawn)) < 3.5
    assert drawn[where[0]] == pytest.approx(1.5, abs=0.02)


def test_a_cause_with_many_estimates_stays_inside_the_panel() -> None:
    plain = explained()
    template = np.zeros(plain.grid.size)
    template[3000:3010] = 2.0
    estimate, error = np.full((2, len(QUANTITIES)), np.nan)
    for name, value in (("wavelength", 5090.4), ("width", 16680.0), ("percent", -106.2)):
        at = list(QUANTITIES).index(name)
        estimate[at], error[at] = value, 10.0
    given = replace(
        plain, cause="dead_interval", template=template, estimate=estimate, estimate_error=error,
        reconstruction=np.full(plain.grid.size, 1.5),
    )  # fmt: skip
    figure = explanation_figure(given, SCORE, "repair")
    figure.draw_without_rendering()
    axes = figure.axes[1]
    box = axes.get_legend()
    assert box is not None
    (cause,) = (text.get_text() for text in box.get_texts() if text.get_text().startswith("cause"))
    assert [line.count("±") for line in cause.splitlines()] == [1, 2]
    assert box.get_window_extent().x0 >= axes.get_window_extent().x0


def test_it_says_the_method_and_what_its_baseline_is() -> None:
    for method, name in (("occlusion", "mean baseline"), ("repair", "repaired spectrum")):
        figure = explanation_figure(explained(), SCORE, method)
        assert f"explained by {method}" in [text.get_text() for text in figure.texts]
        assert name in legend(explained(), method)
    without = replace(explained(), baseline=np.full(explained().grid.size, np.nan))
    assert legend(without, "saliency") == ["spectrum, smoothed (±1σ per pixel)"]


def test_a_cause_without_a_template_is_told_alone() -> None:
    assert "cause: unknown" in legend(replace(explained(), cause="unknown"))
    assert not [text for text in legend(explained()) if text.startswith("cause")]
