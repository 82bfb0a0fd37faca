"""Report of a store: what its page says, and that it escapes what it shows."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from engine.attribution.cautions import Caution
from engine.clustering.pipeline import cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.query.query import QuerySettings, query
from engine.report.gather import without_credentials
from engine.report.page import write_report
from engine.report.viewers import public_url, short_name, viewer_links
from engine.store.reading import StoreView
from engine.store.store import Store
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ConfigurationError, InputError
from tests.engine.store.store_builders import mark_gone, mark_superseded
from tests.synthetic_store import FIRST_TARGET, SyntheticStore, synthetic_store

HOSTILE = '<script>alert("x")</script>&<img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    store = synthetic_store(tmp_path_factory.mktemp("report") / "odd.zarr")
    cluster_store(store.url, ClusteringSettings(resamples=3, maximum=5))
    return store


@pytest.fixture(scope="module")
def report(store: SyntheticStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "odd.html"
    write_report(store.url, path, top=2)
    return path


def test_it_tells_the_run(store: SyntheticStore, report: Path) -> None:
    page = Page(report.read_text(encoding="utf-8"))
    for told in (
        "Odd spectra of release",
        "sky_fibre",
        "a sky fibre, not an object",
        "no_redshift",
        "synthetic",
    ):
        assert told in page.text
    outliers = int(store.outlier.sum())
    scored = int(np.isfinite(store.score).sum())
    assert f"outliers{outliers}{outliers / scored:.1%} of the scored" in page.text
    assert "release/coadd-torn.fits" in page.text
    assert "truncated-file" in page.text
    assert "tail probability at most 0.01" in page.text


def test_oddest_spectra_clusters_and_table_are_there(store: SyntheticStore, report: Path) -> None:
    page = Page(report.read_text(encoding="utf-8"))
    oddest = np.argsort(np.where(store.outlier, store.tail, np.inf))[:2]
    for rank, row in enumerate(oddest, start=1):
        assert f"{rank}. iron/main/bright/{FIRST_TARGET + row}" in page.text
    assert "Cluster 0: " in page.text
    assert "unknown cause near Na D, rest 5,8" in page.text
    rows = [tag for tag in page.tags if tag[0] == "tr"]
    assert len(rows) > store.outlier.sum()
    assert len(page.all("img")) == 5 + 4 + 2  # charts, clusters, figures
    assert all(image["alt"] for image in page.all("img"))


def test_cautions_are_counted_and_shown(store: SyntheticStore, report: Path) -> None:
    page = Page(report.read_text(encoding="utf-8"))
    explained = len(store.cautions)
    clean = int((store.cautions == 0).sum())
    assert f"{clean} of {explained} explanations ({clean / explained:.1%}) carry none" in page.text
    for caution in (Caution.EDGE, Caution.SKY_LINES):
        count = int(((store.cautions & caution) != 0).sum())
        told = f"{caution.label.replace('_', ' ')}{count}{count / explained:.1%}{caution.meaning}"
        assert told in page.text
    assert Caution.MASKED.meaning not in page.text
    oddest = np.argsort(-store.score[store.outlier])[:2]
    badges = [tag for tag in page.tags if tag == ("ul", {"class": "badges", "aria-label": "Cautions"})]
    assert len(badges) == int((store.cautions[oddest] != 0).sum())


def test_it_loads_nothing(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    page = Page(text)
    assert not [
        tag for tag, attributes in page.tags if tag in ("iframe", "object", "embed", "video", "audio")
    ]
    assert all("src" not in attributes for attributes in page.all("script"))
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))  # type: ignore[union-attr]
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    assert "@import" not in text
    assert not re.search(r"url\(", text)
    policy = [each["content"] for each in page.all("meta") if "http-equiv" in each]
    assert policy[0].startswith("default-src 'none'")  # type: ignore[union-attr]
    assert report.stat().st_size < 15e6


def test_reports_on_the_same_store_are_equal(store: SyntheticStore, report: Path, tmp_path: Path) -> None:
    write_report(store.url, tmp_path / "again.html", top=2)
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_hostile_strings_are_shown_not_run(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", spectra=20, survey="<b>&", root=HOSTILE)
    write_report(store.url, tmp_path / "odd.html", top=1)
    text = (tmp_path / "odd.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.all("script")) == 1
    assert not page.all("b") or all("onerror" not in attributes for _, attributes in page.tags)
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert HOSTILE not in text
    assert "iron/<b>&/bright/" in page.text
    assert HOSTILE in page.text


def test_an_explanation_that_failed_is_none_and_is_not_waited_for(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", failed=frozenset({1, 9}))
    write_report(store.url, tmp_path / "odd.html", top=0)
    text = Page((tmp_path / "odd.html").read_text(encoding="utf-8")).text
    assert "since scores of it are not finite: 2." in text
    assert "are not explained yet" not in text
    without = query(store.url, QuerySettings(without_cautions=("any",)))
    assert not set(without["target_id"]) & {FIRST_TARGET + 1, FIRST_TARGET + 9}


def test_credentials_are_not_shown(tmp_path: Path) -> None:
    root = "s3://user:secret@host/bucket/dr1?token=secret#secret"
    store = synthetic_store(tmp_path / "odd.zarr", spectra=20, root=root)
    write_report(store.url, tmp_path / "odd.html", top=0)
    text = (tmp_path / "odd.html").read_text(encoding="utf-8")
    assert "secret" not in text
    assert "s3://host/bucket/dr1" in text


def test_a_store_without_clusters_or_outliers_is_told_as_such(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", spectra=20, outliers=False)
    write_report(store.url, tmp_path / "odd.html")
    page = Page((tmp_path / "odd.html").read_text(encoding="utf-8"))
    assert "whyspec cluster" in page.text
    assert "No spectrum is at or below the threshold." in page.text
    assert "There is no explained outlier to show." in page.text


def test_stale_clusters_are_told(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", spectra=60)
    cluster_store(store.url, ClusteringSettings(resamples=2, maximum=3))
    mark_superseded(Store.open(store.url), [1])
    write_report(store.url, tmp_path / "odd.html", top=0)
    text = Page((tmp_path / "odd.html").read_text(encoding="utf-8")).text
    assert "The clusters were made from 15 explanations, the store now has 14" in text
    assert "superseded" in text


def test_errors_say_what_to_do(store: SyntheticStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written[\s\S]*Name another place"):
        write_report(store.url, tmp_path / "no" / "such" / "directory.html", top=0)
    with pytest.raises(ConfigurationError, match="--top"):
        write_report(store.url, tmp_path / "odd.html", top=-1)
    with pytest.raises(InputError, match="no whyspec store"):
        write_report(str(tmp_path / "nothing.zarr"), tmp_path / "odd.html")


def test_viewers_by_position_and_by_plate() -> None:
    desi = viewer_links(DESI_GRID, "iron/main/bright/39627787712826532", 150.1, -2.25)
    place = "ra=150.100000&dec=-2.250000&layer=ls-dr10&zoom=15&mark=150.100000,-2.250000"
    assert [link.url for link in desi] == [f"https://www.legacysurvey.org/viewer?{place}"]
    sdss = viewer_links(SDSS_GRID, "26/0266-51602-0009", float("nan"), float("nan"))
    assert [link.url for link in sdss] == [
        "https://skyserver.sdss.org/dr18/VisualTools/explore/summary?plate=266&mjd=51602&fiber=9"
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/data/odd.zarr", "/data/odd.zarr"),
        ("s3://key:secret@bucket/odd.zarr", "s3://bucket/odd.zarr"),
        ("https://host/odd.zarr?sig=secret#x", "https://host/odd.zarr"),
    ],
)
def test_public_urls(url: str, shown: str) -> None:
    assert public_url(url) == shown
    assert without_credentials(f"'{url}' is torn") == f"'{shown}' is torn"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("release", "release"),
        ("/data/desi/iron/", "iron"),
        ("/", "/"),
        ("s3://bucket", "bucket"),
        ("s3://bucket/iron", "bucket/iron"),
        ("s3://key:secret@bucket/dr1/spectro/redux/iron/?sig=secret", "bucket/…/iron"),
        ("https://host/public/dr1/spectro/redux/iron", "host/…/iron"),
    ],
)
def test_releases_in_the_heading(url: str, shown: str) -> None:
    assert short_name(url) == shown


def test_rows_of_vanished_files_are_counted_and_marked(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", spectra=20)
    key = query(store.url, QuerySettings(top=1))["key"].item()
    table = StoreView.open(store.url).table(["key"])
    mark_gone(Store.open(store.url), table.index[table["key"] == key].tolist())
    write_report(store.url, tmp_path / "odd.html", top=0)
    text = Page((tmp_path / "odd.html").read_text(encoding="utf-8")).text
    assert f"{key} (gone)" in text
    assert "files that have vanished from the release" in text
