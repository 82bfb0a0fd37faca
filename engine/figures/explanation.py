"""Figure of one explanation: flux, attribution per scale, combined attribution."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from engine.attribution.cause import cause_text
from engine.attribution.explanation import Explanation
from engine.attribution.methods import METHODS
from engine.attribution.places import NO_PLACE, Place
from engine.figures.line_labels import lines_within, spread_apart
from engine.figures.palette import BASELINE, DIVERGING, GRID, INK, MARK, MASKED, MUTED, ODD, RAW, USUAL
from engine.figures.spectrum_score import SpectrumScore
from models.grid import WavelengthGrid

WIDTH, HEIGHT = 11.0, 7.4
"""Size of the figure in inches."""

_LEFT, _RIGHT = 0.085, 0.925
_COLUMNS = 1800
_SMOOTHING = 3.0
_SEEN = 0.02
"""Of a template's largest value, below which it is not drawn."""


_LINE = 58
"""Letters of a cause and its estimates that one line of the legend holds."""


def explanation_figure(explanation: Explanation, score: SpectrumScore, method: str) -> Figure:
    """Draw an explanation; save it with ``figure.savefig`` (its size is always the same).

    Top: the flux as scored, raw (pale) and smoothed (black) with its uncertainty, over the baseline
    (blue) of a method that has one, and the reconstruction with the cause's best template (green);
    the area beneath is coloured by the combined attribution. Middle: attribution per scale. Bottom: combined
    attribution, its places marked above. Masked pixels are grey, lines are named above at the
    spectrum's redshift. ``method`` is the name of the method, which stands below.

    The figure owns no pyplot state: any thread may draw one.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)
    _draw(figure, explanation, score, method)
    return figure


def explanations_figure(explained: Sequence[tuple[Explanation, str]], score: SpectrumScore) -> Figure:
    """Draw several explanations of one spectrum, each with its method, one under the other."""
    figure = Figure(figsize=(WIDTH, HEIGHT * len(explained)), facecolor="white")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(explained), squeeze=False)[:, 0]
    for part, (explanation, method) in zip(parts, explained, strict=True):
        _draw(part, explanation, score, method)
    return figure


def _draw(figure: Figure | SubFigure, explanation: Explanation, score: SpectrumScore, method: str) -> None:
    grid = figure.add_gridspec(
        4,
        2,
        height_ratios=(1.2, 2.9, 1.4, 1.1),
        width_ratios=(1.0, 0.014),
        left=_LEFT,
        right=_RIGHT,
        top=0.88,
        bottom=0.068,
        hspace=0.07,
        wspace=0.02,
    )
    labels, flux, scales, combined = (figure.add_subplot(grid[row, 0]) for row in range(4))
    bar = figure.add_subplot(grid[2, 1])

    wavelength = explanation.grid.wavelength()
    first, last = _extent(explanation, wavelength)
    norm = _norm(explanation.maps)
    _draw_flux(flux, explanation, wavelength, METHODS[method].baseline_name)
    image = _draw_scales(scales, explanation, norm)
    _draw_combined(combined, explanation, wavelength)
    for axes in (flux, scales, combined):
        _finish(axes, first, last)
    for axes in (flux, scales):
        axes.tick_params(labelbottom=False)
    _draw_line_labels(labels, (flux, scales, combined), explanation.redshift, first, last)
    _draw_rest_axis(labels, explanation.redshift)
    combined.set_xlabel("observed wavelength (Å, vacuum)")

    colours = figure.colorbar(image, cax=bar)
    what = "rise of the score" if explanation.units.maps.startswith("nat") else "attribution"
    colours.set_label(f"{what} ({_unit(explanation.units.maps)})", fontsize=9, color=INK)
    ticks = _bar_ticks(norm)
    colours.set_ticks(ticks, labels=[f"{tick:g}".replace("-", "−") for tick in ticks])
    colours.ax.minorticks_off()
    colours.ax.tick_params(labelsize=7.5, length=2.5, colors=INK)
    colours.outline.set_linewidth(0.6)

    figure.text(
        _LEFT, 0.975, explanation.key, fontsize=13, fontweight="bold", va="top", color=INK, parse_math=False
    )
    figure.text(
        _RIGHT,
        0.973,
        _facts(explanation.redshift, score),
        fontsize=11,
        va="top",
        ha="right",
        color=INK,
        parse_math=False,
    )
    figure.text(_LEFT, 0.014, f"explained by {method}", fontsize=9, color=MUTED, parse_math=False)
    for axes in (flux, scales, combined):
        axes.yaxis.set_label_coords(-0.052, 0.5)


def _facts(redshift: float, score: SpectrumScore) -> str:
    facts = [f"{score.spectype}  z = {redshift:.4f}".strip()]
    if math.isfinite(score.score):
        facts.append(f"score {score.score:.1f}")
    if math.isfinite(score.tail_probability):
        facts.append(f"tail probability {score.tail_probability:.2g}")
    return "    ".join(facts)


def _extent(explanation: Explanation, wavelength: NDArray[np.float64]) -> tuple[float, float]:
    """First and last good wavelength; the whole grid if there is none."""
    good = np.flatnonzero(explanation.ivar > 0)
    if len(good) < 2:
        return float(wavelength[0]), float(wavelength[-1])
    return float(wavelength[good[0]]), float(wavelength[good[-1]])


def _norm(attribution: NDArray[np.floating]) -> AsinhNorm:
    """A symmetric scale, logarithmic above a thirtieth of the largest so that narrow windows show."""
    finite = attribution[np.isfinite(attribution)]
    top = float(np.abs(finite).max(initial=0.0)) or 1.0
    return AsinhNorm(linear_width=top / 30.0, vmin=-top, vmax=top)


def _bar_ticks(norm: AsinhNorm) -> list[float]:
    top = float(norm.vmax or 1.0)
    decade = 10.0 ** math.floor(math.log10(top))
    largest = max(step * decade for step in (1.0, 2.0, 5.0) if step * decade <= top * 1.0001)
    ticks = [largest, largest / 10.0]
    return [-tick for tick in ticks] + [0.0] + ticks[::-1]


def smoothed(
    flux: NDArray[np.floating], ivar: NDArray[np.floating], pixels: float = _SMOOTHING
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Flux of the good pixels smoothed by a Gaussian of ``pixels`` standard deviation.

    All good pixels count alike: a bright line has little inverse variance, and weights by it would
    smooth the line away. Returns the smoothed flux and the uncertainty of a single pixel there, both
    (N,), NaN where the pixel is not good.
    """
    reach = math.ceil(3.0 * pixels)
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / pixels))
    kernel /= kernel.sum()
    good = (ivar > 0) & np.isfinite(flux)
    near = np.convolve(good.astype(np.float64), kernel, mode="same")
    mean = np.convolve(np.where(good, flux, 0.0).astype(np.float64), kernel, mode="same")
    weight = np.convolve(np.where(good, ivar, 0.0).astype(np.float64), kernel, mode="same")
    share, total = np.where(good, near, 1.0), np.where(good, weight, 1.0)
    return np.where(good, mean / share, np.nan), np.where(good, np.sqrt(near / total), np.nan)


def _draw_flux(
    axes: Axes, explanation: Explanation, wavelength: NDArray[np.float64], baseline_name: str
) -> None:
    good = explanation.ivar > 0
    raw = np.where(good, explanation.flux, np.nan)
    smooth, sigma = smoothed(explanation.flux, explanation.ivar)
    baseline, _ = smoothed(explanation.baseline, explanation.ivar)
    low, high = _flux_limits(raw, smooth, baseline)
    axes.set_ylim(low, high)

    under = axes.fill_between(wavelength, low, smooth, linewidth=0.0, facecolor="none")
    strip = _strip(
        axes, explanation.combined[None, :], explanation.grid, _norm(explanation.combined), low, high
    )
    strip.set_zorder(1.0)
    strip.set_clip_path(Path.make_compound_path(*under.get_paths()), axes.transData)
    under.remove()

    axes.plot(wavelength, raw, color=RAW, linewidth=0.35, zorder=2, rasterized=True)
    axes.fill_between(
        wavelength, smooth - sigma, smooth + sigma, color=MUTED, alpha=0.28, linewidth=0.0, zorder=2.5
    )
    if np.isfinite(baseline).any():
        axes.plot(wavelength, baseline, color=BASELINE, linewidth=1.2, zorder=3, label=baseline_name)
    name = "spectrum, smoothed (±1σ per pixel)"
    axes.plot(wavelength, smooth, color=INK, linewidth=0.9, zorder=4, label=name)
    _draw_cause(axes, explanation, wavelength)
    axes.axhline(0.0, color=MUTED, linewidth=0.5, zorder=1.5)
    _shade_masked(axes, wavelength, good)
    axes.set_ylabel("normalised flux")
    axes.yaxis.set_major_locator(MaxNLocator(5, prune="lower"))
    axes.legend(loc="upper right", fontsize=8.5, frameon=True, framealpha=0.85, edgecolor="none", ncols=3)


def _draw_cause(axes: Axes, explanation: Explanation, wavelength: NDArray[np.float64]) -> None:
    """The reconstruction with the cause's best template, over the spectrum, where the template is.

    Smoothed as the spectrum is, so that the two compare.
    """
    name = cause_text(explanation.cause, explanation.other_class)
    template = np.abs(np.nan_to_num(explanation.template))
    if not template.any():
        if name:
            axes.plot([], [], linestyle="none", label=f"cause: {name}")
        return
    around = np.ones(2 * math.ceil(3.0 * _SMOOTHING) + 1)
    there = np.convolve(template > _SEEN * template.max(), around, mode="same") > 0
    model, _ = smoothed(explanation.reconstruction + explanation.template, explanation.ivar)
    said = "; ".join(
        part.replace(" ", "\xa0") for part in (f"cause: {name}", *map(str, explanation.estimates))
    )
    axes.plot(
        wavelength,
        np.where(there, model, np.nan),
        color=MARK,
        linewidth=1.3,
        zorder=4.5,
        # Lines end between estimates, not inside of one.
        label=textwrap.fill(said, _LINE).replace("\xa0", " "),
    )


def _flux_limits(
    raw: NDArray[np.floating], smooth: NDArray[np.float64], baseline: NDArray[np.floating]
) -> tuple[float, float]:
    """Limits that hold the smoothed flux and nearly all raw pixels, with room for the legend."""
    shown = smooth[np.isfinite(smooth)]
    pixels = raw[np.isfinite(raw)]
    if len(shown) == 0:
        return -0.5, 1.5
    model = baseline[np.isfinite(baseline)]
    high = max(float(shown.max()), float(model.max(initial=0.0)), float(np.percentile(pixels, 99.0)))
    low = min(float(shown.min()), float(np.percentile(pixels, 1.0)), 0.0)
    # One runaway trough (bad sky, say) must not squeeze everything else flat.
    low = max(low, -0.3 * high)
    room = max(high - low, 1e-6)
    return low - 0.03 * room, high + 0.14 * room


def _strip(
    axes: Axes,
    rows: NDArray[np.floating],
    grid: WavelengthGrid,
    norm: AsinhNorm,
    low: float,
    high: float,
) -> AxesImage:
    first, last, columns = image_columns(rows, grid)
    return axes.imshow(
        columns,
        extent=(first, last, low, high),
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        cmap=DIVERGING,
        norm=norm,
    )


def image_columns(
    rows: NDArray[np.floating], grid: WavelengthGrid
) -> tuple[float, float, NDArray[np.float64]]:
    """Rows (R, N) on at most 1800 columns even in wavelength, each the pixel of largest modulus in it.

    Taking the largest keeps a one-pixel peak visible at any size of the figure. Returns the first
    and last edge in Angstrom and the columns (R, C).
    """
    pixel_edges = np.arange(grid.size + 1) - 0.5
    coordinate = grid.start + grid.step * pixel_edges
    edges = coordinate if grid.spacing == "linear" else np.power(10.0, coordinate)
    count = min(_COLUMNS, grid.size)
    column_edges = np.linspace(edges[0], edges[-1], count + 1)
    begin = np.clip(np.searchsorted(edges, column_edges[:-1], side="right") - 1, 0, grid.size - 1)
    values = np.where(np.isfinite(rows), rows, 0.0).astype(np.float64)
    upper = np.maximum.reduceat(values, begin, axis=1)
    lower = np.minimum.reduceat(values, begin, axis=1)
    return float(edges[0]), float(edges[-1]), np.where(upper >= -lower, upper, lower)


def _draw_scales(axes: Axes, explanation: Explanation, norm: AsinhNorm) -> AxesImage:
    count = len(explanation.scales)
    image = _strip(axes, explanation.maps, explanation.grid, norm, -0.5, count - 0.5)
    # The unit stands in the label once: long tick labels would push it out of the figure.
    names = [_scale_name(scale, explanation.grid).partition(" ") for scale in explanation.scales]
    axes.set_yticks(range(count), [number for number, _, _ in names])
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylabel(f"width ({names[0][2]})" if names else "width")
    for boundary in np.arange(count - 1) + 0.5:
        axes.axhline(boundary, color="white", linewidth=0.8)
    good = explanation.ivar > 0
    _shade_masked(axes, explanation.grid.wavelength(), good)
    return image


def _scale_name(scale: int, grid: WavelengthGrid) -> str:
    if grid.spacing == "linear":
        return f"{scale * grid.step:.3g} Å"
    return f"{299_792.458 * math.log(10.0) * grid.step * scale:,.0f} km/s"


def _draw_combined(axes: Axes, explanation: Explanation, wavelength: NDArray[np.float64]) -> None:
    curve = np.where(np.isfinite(explanation.combined), explanation.combined, 0.0)
    axes.fill_between(wavelength, 0.0, np.clip(curve, 0.0, None), color=ODD, linewidth=0.6, step="mid")
    axes.fill_between(wavelength, 0.0, np.clip(curve, None, 0.0), color=USUAL, linewidth=0.6, step="mid")
    axes.axhline(0.0, color=INK, linewidth=0.5)
    top, bottom = float(curve.max(initial=0.0)), float(curve.min(initial=0.0))
    room = (top - bottom) or 1.0
    axes.set_ylim(bottom - 0.08 * room, top + 0.35 * room)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_ylabel(f"combined\n({_unit(explanation.units.combined)})")
    _shade_masked(axes, wavelength, explanation.ivar > 0)
    _mark_places(axes, explanation.places, wavelength, top, room)


def _mark_places(
    axes: Axes, places: tuple[Place, ...], wavelength: NDArray[np.float64], top: float, room: float
) -> None:
    """Bars as wide as the places above the curve; the first has its label."""
    for place in places:
        ends = place.wavelength + 0.5 * place.width * np.array([-1.0, 1.0])
        height = np.full(2, top + 0.06 * room)
        axes.plot(ends, height, color=INK, linewidth=2.0, solid_capstyle="butt")
        axes.plot(
            [place.wavelength], height[:1], marker="^" if place.sign > 0 else "v", color=INK, markersize=4.5
        )
    leftwards = bool(places) and places[0].wavelength > 0.5 * (wavelength[0] + wavelength[-1])
    axes.annotate(
        str(places[0]) if places else f"place: {NO_PLACE}",
        xy=(places[0].wavelength if places else wavelength[0], top + 0.06 * room),
        xytext=(-9 if leftwards else 9, 9),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        va="center",
        fontsize=9,
        color=INK,
        zorder=6,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8},
    )


def _unit(name: str) -> str:
    return name.replace("sigma", "σ")


def _shade_masked(axes: Axes, wavelength: NDArray[np.float64], good: NDArray[np.bool_]) -> None:
    axes.fill_between(
        wavelength,
        0.0,
        1.0,
        where=(~good).tolist(),
        step="mid",
        transform=axes.get_xaxis_transform(),
        color=MASKED,
        linewidth=0.0,
        zorder=5,
    )


def _finish(axes: Axes, first: float, last: float) -> None:
    axes.set_xlim(first, last)
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    axes.tick_params(direction="in", top=False, right=False, labelsize=9, colors=INK, width=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    axes.yaxis.label.set_fontsize(10)
    axes.xaxis.label.set_fontsize(10.5)


def _draw_line_labels(
    strip: Axes, panels: tuple[Axes, ...], redshift: float, first: float, last: float
) -> None:
    strip.set_xlim(first, last)
    strip.set_ylim(0.0, 1.0)
    strip.set_yticks([])
    strip.tick_params(bottom=False, labelbottom=False)
    for side in ("left", "right", "bottom"):
        strip.spines[side].set_visible(False)
    strip.spines["top"].set_linewidth(0.6)
    found = lines_within(first, last, redshift) if math.isfinite(redshift) else ()
    room = last - first
    places = spread_apart(
        np.array([observed for _, observed in found]),
        0.0155 * room,
        first + 0.008 * room,
        last - 0.008 * room,
    )
    for (line, observed), place in zip(found, places, strict=True):
        style = "solid" if line.kind == "emission" else (0, (3, 2))
        strip.plot(
            [observed, observed, place, place],
            [-0.08, 0.0, 0.11, 0.14],
            color=MUTED,
            linewidth=0.6,
            clip_on=False,
        )
        strip.text(place, 0.165, line.name, rotation=90, ha="center", va="bottom", fontsize=7.5, color=INK)
        for axes in panels:
            axes.axvline(observed, color=GRID, linewidth=0.5, linestyle=style, zorder=1.6)


def _draw_rest_axis(strip: Axes, redshift: float) -> None:
    if not math.isfinite(redshift) or redshift <= -1.0:
        strip.spines["top"].set_visible(False)
        return
    scale = 1.0 + redshift
    rest = strip.secondary_xaxis(
        "top", functions=(lambda x: np.asarray(x) / scale, lambda x: np.asarray(x) * scale)
    )
    rest.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    rest.tick_params(labelsize=9, colors=INK, width=0.6, direction="out", length=3)
    rest.set_xlabel("rest wavelength (Å)", fontsize=9.5, color=INK, labelpad=4)
    rest.spines["top"].set_linewidth(0.6)
