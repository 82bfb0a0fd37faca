"""A made-up third survey, added by one value: own files, own directories, own grid, own keys.

Everything below is what a folder of ``engine/surveys`` would hold. No product file knows of it.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.files.fits_file import FitsFile
from engine.files.fits_headers import HeaderDataUnit
from engine.spectra.pixels import good_fraction
from engine.spectra.rows import Rows
from engine.spectra.sky_position import healpix_29
from engine.spectra.spectra import Spectra
from engine.store.reading import StoreView
from engine.store.verify import verify
from engine.surveys.directory import name_of
from engine.surveys.layout import Candidate, Found, Layout
from engine.surveys.listing import list_release
from engine.surveys.reader import Description, Names, Reader
from engine.surveys.recognition import layouts
from engine.surveys.survey import ObservedMark, Survey, ViewerLink
from engine.surveys.surveys import SURVEYS
from flows.command_line import run_command
from models.errors import ConfigurationError, ErrorKind, QuarantineError
from models.grid import WavelengthGrid
from models.row_status import RowStatus
from models.signal_to_noise import median_snr
from tests.engine.surveys.coadd_files import CoaddContent
from tests.small_run import small_model, small_options

pytestmark = pytest.mark.usefixtures("prefect")

PER_FIELD = 24

LYRA_GRID = WavelengthGrid("lyra", "linear", 3800.0, 4.0, 1401)


def is_field(url: str) -> bool:
    return re.fullmatch(r"lyra-\d+\.fits", name_of(url)) is not None


def describe(file: FitsFile) -> Description:
    flux = file.unit("LIGHT")
    if flux.shape[-1] != LYRA_GRID.size:
        raise QuarantineError(
            "The spectra are not on Lyra's grid.",
            where=file.url,
            got=f"{flux.shape[-1]} pixels",
            allowed=f"{LYRA_GRID.size}",
            kind=ErrorKind.WRONG_GRID,
        )
    run = file.primary.text("RUN")
    return Description(flux.rows, (run, "lyra", ""), f"{run}/field-{file.primary.integer('FIELD')}")


def units(file: FitsFile) -> list[HeaderDataUnit]:
    return [file.unit(name) for name in ("LIGHT", "SIGMA", "STARS")]


class Field:
    """An open field: flux and its standard deviation as images, everything else in the table STARS."""

    def __init__(self, file: FitsFile, _redshifts: None, names: Names, _start: int, _stop: int) -> None:
        self.file, self._names = file, names
        self.count = file.unit("LIGHT").rows

    def rows(self, start: int, stop: int) -> Rows:
        table = self.file.columns(
            self.file.unit("STARS"), ("NUMBER", "ALPHA", "DELTA", "VELOCITY", "KIND"), start, stop
        )
        rows = Rows.empty(stop - start)
        data = rows.data
        data["specprod"], data["survey"], data["program"] = self._names
        data["plate"] = self.file.primary.integer("FIELD")
        data["target_id"] = table["NUMBER"]
        data["source_row"] = np.arange(start, stop)
        data["ra"], data["dec"] = table["ALPHA"], table["DELTA"]
        data["healpix_29"] = healpix_29(data["ra"], data["dec"])
        data["redshift"] = table["VELOCITY"] / 299_792.458
        data["spectype"] = table["KIND"]
        data["status"] = np.where(np.isfinite(data["redshift"]), RowStatus.SCORED, RowStatus.NO_REDSHIFT)
        return rows

    def read(self, start: int, stop: int) -> Spectra:
        images = self.file.images([self.file.unit("LIGHT"), self.file.unit("SIGMA")], start, stop)
        flux, sigma = (image.astype(np.float32) for image in images)
        ivar = (1.0 / sigma**2).astype(np.float32)
        rows = self.rows(start, stop)
        rows.data["snr"], rows.data["good_fraction"] = median_snr(flux, ivar), good_fraction(ivar)
        return Spectra(LYRA_GRID, flux, ivar, rows)


LYRA = Survey(
    name="lyra",
    title="Lyra",
    files="lyra-*.fits",
    file_noun="fields",
    readers=(Reader("lyra-field", LYRA_GRID, lambda file: "STARS" in file.names(), describe, units, Field),),
    is_spectra_file=is_field,
    layouts=(
        Layout(
            "lyra-fields",
            "fields/lyra-<field>.fits",
            lambda _root: "",
            lambda _base, urls: Found(tuple(Candidate(url, "") for url in urls if is_field(url))),
            fits=lambda found, urls: len(found.candidates) == len(urls),
        ),
    ),
    key_columns=("target_id",),
    key=lambda field, number: f"{field}/{number}",
    identifier_names=("number",),
    joint_name={"plate": ("lyra_field",), "source_row": ("place",)},
    object_column="target_id",
    classes={"galaxy": ("GAL",)},
    coverage=lambda _survey: (3800.0, 9400.0),
    observed_marks=(ObservedMark("fibre seam", 6700.0, 6760.0, "instrument"),),
    viewer_links=lambda key: (ViewerLink("Lyra atlas", f"https://atlas.example/{key}"),),
)


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    SURVEYS.append(LYRA)
    yield
    SURVEYS.remove(LYRA)


def write_field(release: Path, field: int, pixels: int = LYRA_GRID.size) -> Path:
    """Galaxies with a line or two; the first row has no redshift."""
    random = np.random.default_rng(field)
    wavelength = 3800.0 + 4.0 * np.arange(pixels)
    redshift = random.uniform(0.05, 0.3, PER_FIELD)
    rest = wavelength / (1.0 + redshift[:, None])
    light = 10.0 * (rest / 5500.0) ** random.normal(0.0, 0.5, (PER_FIELD, 1))
    for line in (4862.7, 5008.2, 6564.6):
        strength = random.uniform(0.0, 10.0, (PER_FIELD, 1))
        light += strength * np.exp(-0.5 * ((rest - line) / 5.0) ** 2)
    light += random.normal(0.0, 1.0, light.shape)
    velocity = 299_792.458 * redshift
    velocity[0] = np.nan
    columns = [
        fits.Column("NUMBER", "K", array=1000 * field + np.arange(PER_FIELD)),
        fits.Column("ALPHA", "D", array=field + 0.01 * np.arange(PER_FIELD)),
        fits.Column("DELTA", "D", array=np.linspace(-1.0, 1.0, PER_FIELD)),
        fits.Column("VELOCITY", "D", array=velocity),
        fits.Column("KIND", "4A", array=np.full(PER_FIELD, "GAL")),
    ]
    path = release / "fields" / f"lyra-{field}.fits"
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(
        [
            fits.PrimaryHDU(header=fits.Header({"RUN": "run7", "FIELD": field})),
            fits.ImageHDU(light.astype(np.float32), name="LIGHT"),
            fits.ImageHDU(np.ones_like(light, dtype=np.float32), name="SIGMA"),
            fits.BinTableHDU.from_columns(columns, name="STARS"),
        ]
    ).writeto(path, checksum=True)
    return path


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four fields, one of them with the pixels of something else."""
    root = tmp_path_factory.mktemp("lyra")
    for field in (11, 12, 13):
        write_field(root, field)
    write_field(root, 14, pixels=900)
    return root


@pytest.fixture(scope="module")
def store(release: Path, tmp_path_factory: pytest.TempPathFactory, prefect: None) -> Path:
    """The release planned and run by the command line, with a model trained on it."""
    place = tmp_path_factory.mktemp("store")
    model = small_model(place / "model", release)
    assert json.loads((model / "card.json").read_text())["classes"] == ["GAL"]
    options = small_options(place / "odd.zarr", model)
    assert run_command(["run", str(release), *options]) == 3  # the field on another grid is quarantined
    return place / "odd.zarr"


def test_its_directory_is_recognised_by_its_layout(release: Path) -> None:
    listing = list_release([str(release)])
    assert (listing.layout, listing.grid, listing.spectra) == ("lyra-fields", LYRA_GRID, 3 * PER_FIELD)
    assert [(name_of(file.url), file.kind) for file in listing.refused] == [("lyra-14.fits", "wrong-grid")]
    names = [each.name for each in layouts()]
    assert "lyra-fields" in names
    assert names[-1] == "files"


def test_it_shares_no_store_with_another_survey(release: Path, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path / "both")
    coadd, _ = CoaddContent().write(tmp_path / "both" / "desi")
    with pytest.raises(ConfigurationError, match="one store has one grid") as caught:
        list_release([str(tmp_path / "both")])
    assert caught.value.got == "1 DESI coadd files, 4 Lyra fields"
    assert "lyra-fields" in caught.value.remedy
    with pytest.raises(ConfigurationError) as caught:
        list_release([coadd, str(release / "fields" / "lyra-11.fits")])
    assert caught.value.got == "1 files of desi-coadd, 1 files of lyra-field"


def test_a_plan_lists_its_files(
    release: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", str(store.with_name("model")), "--threshold", "0.5", "--json"]
    capsys.readouterr()
    assert run_command(["plan", str(release), "--store", str(tmp_path / "new.zarr"), *options]) == 3
    plan = json.loads(capsys.readouterr().out)
    assert (plan["layout"], plan["spectra"]) == ("lyra-fields", 3 * PER_FIELD)
    assert plan["configuration"]["grid"]["name"] == "lyra"


def test_its_rows_keys_and_positions_are_in_the_store(store: Path) -> None:
    assert verify(str(store)).ok
    table = StoreView.open(str(store)).table()
    assert len(table) == 3 * PER_FIELD
    assert set(table["key"]) == {
        f"run7/field-{field}/{1000 * field + number}" for field in (11, 12, 13) for number in range(PER_FIELD)
    }
    for row in table.to_dict("records"):
        field, number = row["plate"], row["target_id"] % 1000
        assert (row["ra"], row["dec"]) == pytest.approx(
            (field + 0.01 * number, -1.0 + 2.0 * number / (PER_FIELD - 1))
        )
    assert (table["healpix_29"] >= 0).all()
    unscored = table[table["status"] != RowStatus.SCORED]
    assert set(unscored["status"]) == {int(RowStatus.NO_REDSHIFT)}
    assert (unscored["target_id"] % 1000 == 0).all()
    assert int(table["outlier"].sum()) >= 2


def test_a_query_finds_it_by_key_and_number(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--key", "run7/field-12/12003", "--target-id", "13005"]
    capsys.readouterr()
    assert run_command(["query", str(store), *asked, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {(row["key"], row["target_id"]) for row in found} == {
        ("run7/field-12/12003", "12003"),
        ("run7/field-13/13005", "13005"),
    }
    assert {round(row["ra"], 2) for row in found} == {12.03, 13.05}
    assert {row["spectype"] for row in found} == {"GAL"}


def test_a_report_shows_its_viewer_and_its_marks(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "odd.html"
    assert run_command(["report", str(store), "-o", str(page), "--top", "2"]) == 0
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"https://atlas\.example/(run7/field-1[123]/\d+)", text)
    assert len(shown) == 2
    assert "skyserver" not in text
    figures = [base64.b64decode(code).decode() for code in re.findall(r"svg\+xml;base64,([\w+/=]+)", text)]
    # Text is drawn as paths; what it says is in comments.
    assert any("<!-- fibre seam -->" in figure for figure in figures)
    assert not any("dichroic" in figure or "overlap" in figure for figure in figures)
