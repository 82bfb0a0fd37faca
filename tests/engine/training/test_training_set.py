"""Training sets: which spectra are taken, and the caches that hold them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from astropy.io import fits

from engine.simulation.release import SimulationSettings, simulate_release
from engine.spectra.source_file import ReleaseListing
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.listing import list_release
from engine.surveys.sdss.grid import SDSS_GRID
from engine.training.cache import ARRAYS, MARKER, PreparedSet, bytes_of, capacity, locked
from engine.training.events import Note, TrainingEvent
from engine.training.populations import PopulationName, coverage, fitted_range, requested_range
from engine.training.preparation import prepare
from engine.training.reading import read_training_set, training_population
from engine.training.request import TrainingRequest
from engine.training.sample import draw_sample
from engine.training.splits import Split
from models.errors import ConfigurationError, InputError
from models.training.fit import fit
from models.training.spectra import SpectraSource, TrainingSpectra
from models.weights import save_model
from tests.small_run import SMALL_TRAINING, publish_sums, small_release, tree_bytes

REQUEST = TrainingRequest((), "", "mine", validation=0.2, calibration=0.3)


class Notes:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_event(self, event: TrainingEvent) -> None:
        if isinstance(event, Note):
            self.texts.append(event.text)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight files of fifteen spectra, galaxies but for a few sky fibres."""
    return small_release(tmp_path_factory.mktemp("training-set") / "release", 120, seed=4)


@pytest.fixture(scope="module")
def listing(release: Path) -> ReleaseListing:
    return list_release([str(release)])


def everything(source: SpectraSource) -> TrainingSpectra:
    return source.take(np.arange(len(source)))


def same(first: TrainingSpectra, second: TrainingSpectra) -> bool:
    return all(
        getattr(first, name).tobytes() == getattr(second, name).tobytes()
        for name in ("flux", "ivar", "redshift")
    )


def splits(prepared: PreparedSet) -> tuple[TrainingSpectra, ...]:
    split = prepared.split
    return tuple(everything(part) for part in (split.training, split.validation, split.calibration))


def test_a_release_that_grows_moves_no_object(listing: ReleaseListing) -> None:
    smaller = dataclasses.replace(listing, files=listing.files[:5])
    before, after = draw_sample(smaller, REQUEST, 1000), draw_sample(listing, REQUEST, 1000)
    was = dict(zip(before.number.tolist(), before.split.tolist(), strict=True))
    now = dict(zip(after.number.tolist(), after.split.tolist(), strict=True))
    assert len(now) > len(was) > 30
    assert {number: now[number] for number in was} == was
    few_before, few_after = draw_sample(smaller, REQUEST, 30), draw_sample(listing, REQUEST, 30)
    assert len(few_before) == len(few_after) == 30
    # Whoever of the old is taken from the larger release was taken from the smaller one.
    assert set(few_after.number.tolist()) & set(was) <= set(few_before.number.tolist())
    assert set(few_after.number.tolist()) - set(was)


def test_the_order_of_files_means_nothing(listing: ReleaseListing) -> None:
    turned = dataclasses.replace(listing, files=listing.files[::-1])
    (one, _), (other, _) = read_training_set(listing, REQUEST), read_training_set(turned, REQUEST)
    assert same(everything(one.training), everything(other.training))
    assert same(everything(one.calibration), everything(other.calibration))


def test_a_cache_holds_what_would_be_in_memory(listing: ReleaseListing, tmp_path: Path) -> None:
    memory, population = read_training_set(listing, REQUEST)
    prepared = prepare(listing, REQUEST, tmp_path)
    assert training_population(listing, REQUEST, prepared.redshift_range) == population
    for stored, kept in zip(
        splits(prepared), (memory.training, memory.validation, memory.calibration), strict=True
    ):
        assert same(stored, everything(kept))
    index = np.array([3, 4, 11, 30])
    assert same(prepared.split.training.take(index), memory.training.take(index))


def test_a_cache_is_a_plain_zarr_hierarchy(listing: ReleaseListing, tmp_path: Path) -> None:
    prepared = prepare(listing, REQUEST, tmp_path)
    group = zarr.open_group(tmp_path / ARRAYS, mode="r")
    rows = np.flatnonzero(np.asarray(group["split"]) == Split.CALIBRATION)
    expected = everything(prepared.split.calibration)
    np.testing.assert_array_equal(np.asarray(group["flux"])[rows], expected.flux)
    np.testing.assert_array_equal(np.asarray(group["ivar"])[rows], expected.ivar)
    np.testing.assert_array_equal(np.asarray(group["redshift"])[rows], expected.redshift)
    assert len(np.unique(np.asarray(group["object"]))) == len(np.asarray(group["object"]))


def test_a_cache_of_the_same_request_is_used_again(release: Path, tmp_path: Path) -> None:
    moved = tmp_path / "release"
    shutil.copytree(release, moved)
    listing = list_release([str(moved)])
    first = splits(prepare(listing, REQUEST, tmp_path / "cache"))
    shutil.rmtree(moved)  # what is read again would be missing
    notes = Notes()
    again = splits(prepare(listing, REQUEST, tmp_path / "cache", [notes]))
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert "used again" in notes.texts[0]


def test_a_cache_of_another_request_or_release_is_made_anew(listing: ReleaseListing, tmp_path: Path) -> None:
    count = len(prepare(listing, REQUEST, tmp_path).split)
    fewer = prepare(listing, dataclasses.replace(REQUEST, limit=40), tmp_path)
    assert len(fewer.split) <= 40 < count
    smaller = dataclasses.replace(listing, files=listing.files[:3])
    assert len(prepare(smaller, REQUEST, tmp_path).split) < count
    assert len(prepare(listing, REQUEST, tmp_path).split) == count


def test_a_cache_whose_making_was_cut_off_is_made_anew(listing: ReleaseListing, tmp_path: Path) -> None:
    prepare(listing, REQUEST, tmp_path / "whole")
    whole = tree_bytes(tmp_path / "whole")
    prepare(listing, REQUEST, tmp_path / "cut")
    (tmp_path / "cut" / MARKER).unlink()
    (tmp_path / "cut" / f"{MARKER}.partial").write_text('{"digest"')
    chunk = tmp_path / "cut" / ARRAYS / "flux" / "c" / "0" / "0"
    chunk.write_bytes(bytes(1000))
    shutil.rmtree(tmp_path / "cut" / ARRAYS / "split")
    prepare(listing, REQUEST, tmp_path / "cut")
    assert tree_bytes(tmp_path / "cut") == whole


def test_a_cache_never_exceeds_its_size(listing: ReleaseListing, tmp_path: Path) -> None:
    size = 6_000_000
    notes = Notes()
    prepared = prepare(listing, dataclasses.replace(REQUEST, cache_bytes=size), tmp_path, [notes])
    assert 50 < len(prepared.split) < 100
    assert sum(len(content) for content in tree_bytes(tmp_path).values()) <= size
    assert "holds 64 of 120 spectra" in notes.texts[0]
    for limit in (1, 63, 64, 65, 8191, 8193, 200_000):
        room = bytes_of(SDSS_GRID, limit)
        assert capacity(SDSS_GRID, limit, room) == limit
        assert bytes_of(SDSS_GRID, capacity(SDSS_GRID, limit, max(room - 1, 6_000_000))) <= max(
            room, 6_000_000
        )
    with pytest.raises(ConfigurationError, match="too small to train from"):
        prepare(listing, dataclasses.replace(REQUEST, cache_bytes=2_000_000), tmp_path)


def test_a_cache_is_used_by_one_training_at_a_time(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with locked(cache), pytest.raises(InputError, match="Another training uses this cache"), locked(cache):
        pass
    with locked(cache):
        pass
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="holds something else"), locked(tmp_path):
        pass


def test_what_is_behind_the_mask_reaches_no_weight(release: Path, tmp_path: Path) -> None:
    """NaN, infinities and garbage in the files, where pixels have no inverse variance or are masked."""
    spoilt = tmp_path / "spoilt"
    shutil.copytree(release, spoilt)
    changed = 0
    for path in spoilt.rglob("coadd-*.fits"):
        with fits.open(path) as units:
            for arm in "BRZ":
                ivar, mask = units[f"{arm}_IVAR"].data, units[f"{arm}_MASK"].data
                flux = units[f"{arm}_FLUX"].data
                without = ivar == 0
                flux[without] = np.resize([np.nan, 1e30, -np.inf, 7.0], without.sum())
                masked = (mask != 0) & ~without
                flux[masked], ivar[masked] = -3e5, 1e9
                changed += int(without.sum() + masked.sum())
            units.writeto(path, overwrite=True, checksum=True)
        publish_sums(path.parent)
    assert changed > 1_000
    weights = []
    for root in (release, spoilt):
        listing, cache = list_release([str(root)]), tmp_path / f"cache-{root.name}"
        prepared = prepare(listing, REQUEST, cache)
        population = training_population(listing, REQUEST, prepared.redshift_range)
        model = fit(prepared.split, population, SMALL_TRAINING, {}, lambda *_: None)
        save_model(model, tmp_path / root.name / "model")
        weights.append((tmp_path / root.name / "model" / "model.safetensors").read_bytes())
        weights.append(b"".join(part.flux.tobytes() for part in splits(prepared)))
    assert weights[:2] == weights[2:]


def test_every_population_is_trained_on_its_own_class(tmp_path: Path) -> None:
    settings = SimulationSettings(
        "desi", 90, 0.0, seed=6, spectra_per_file=45, quasar_fraction=0.3, star_fraction=0.3, resolution=False
    )
    listing = list_release([str(simulate_release(settings, tmp_path / "release").path)])
    names: tuple[PopulationName, ...] = ("galaxy", "quasar", "star", "all")
    counts = {}
    for name in names:
        split, population = read_training_set(listing, dataclasses.replace(REQUEST, population=name))
        counts[name] = len(split)
        redshift = everything(split.training).redshift
        assert population.redshift_min <= redshift.min() <= redshift.max() <= population.redshift_max
        median = np.array(
            [
                np.median(flux[window & (ivar > 0)])
                for flux, ivar, window in (
                    (flux, ivar, _window(z, population.normalisation_min, population.normalisation_max))
                    for flux, ivar, z in zip(*dataclasses.astuple(everything(split.training)), strict=True)
                )
            ]
        )
        np.testing.assert_allclose(median, 1.0, rtol=1e-5)
        if name == "star":
            assert population.classes == ("STAR",)
            assert -0.005 <= population.redshift_min < 0 < population.redshift_max <= 0.005
    assert counts["galaxy"] > 15
    assert counts["quasar"] > 15
    assert counts["star"] > 15
    with pytest.raises(ConfigurationError, match=r"no spectra of this kind(.|\n)*population star, redshifts"):
        read_training_set(listing, dataclasses.replace(REQUEST, population="star", redshift=(0.1, 0.2)))


def _window(redshift: float, low: float, high: float) -> np.ndarray:
    rest = DESI_GRID.wavelength() / (1 + redshift)
    return (rest >= low) & (rest <= high)


@pytest.mark.parametrize(
    ("survey", "redshifts", "name"),
    [
        ("desi", (0.0, 0.6), "galaxy"),
        ("desi", (0.02, 1.1), "galaxy"),
        ("desi", (0.6, 1.6), "galaxy"),
        ("sdss", (0.0, 0.5), "galaxy"),
        ("segue2", (-0.002, 0.002), "star"),
        ("eboss", (0.0, 1.0), "galaxy"),
        ("eboss", (0.8, 2.2), "quasar"),
        ("desi", (0.9, 2.9), "quasar"),
    ],
)
def test_windows_are_covered_at_all_redshifts(
    survey: str, redshifts: tuple[float, float], name: PopulationName
) -> None:
    covered = coverage(DESI_GRID if survey == "desi" else SDSS_GRID, {survey})
    found = fitted_range(name, np.linspace(*redshifts, 500), covered)
    assert found.redshifts[0] <= redshifts[0] + 0.01
    assert found.redshifts[1] >= redshifts[1] - 0.01
    middle = sum(found.window) / 2
    assert middle * (1 + found.redshifts[0]) >= covered[0]
    assert middle * (1 + found.redshifts[1]) <= covered[1]
    assert requested_range(name, redshifts, covered).redshifts == redshifts


def test_redshifts_that_no_window_spans_are_cut_to_where_most_spectra_are() -> None:
    rng = np.random.default_rng(1)
    redshifts = np.concatenate([rng.uniform(1.0, 3.0, 900), rng.uniform(3.6, 4.5, 80)])
    found = fitted_range("quasar", redshifts, coverage(DESI_GRID, {"main"}))
    held_within = (redshifts >= found.redshifts[0]) & (redshifts <= found.redshifts[1])
    assert 0.9 < held_within.mean() < 0.99
    with pytest.raises(ConfigurationError, match="No window of the continuum is covered"):
        requested_range("quasar", (0.1, 5.0), coverage(DESI_GRID, {"main"}))
    with pytest.raises(ConfigurationError, match="low end, then a high end"):
        requested_range("galaxy", (0.5, 0.1), coverage(DESI_GRID, {"main"}))


def test_two_spectrographs_share_what_both_cover() -> None:
    low, high = coverage(SDSS_GRID, {"sdss", "boss"})
    assert (low, high) == coverage(SDSS_GRID, {"sdss"})
    wide = coverage(SDSS_GRID, {"boss"})
    assert wide[0] < low
    assert wide[1] > high
