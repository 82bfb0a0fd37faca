"""DESI productions by pixel: catalogues, checksums, and what is listed on disk and over HTTP."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from astropy.io import fits
from astropy.table import Table

from engine.spectra.source_file import ReleaseListing, SourceFile
from engine.surveys.desi.catalogue import decode_uniqpix
from engine.surveys.listing import list_release
from engine.surveys.reading import inspect
from tests.engine.surveys.trees import Production
from tests.servers.http_ranges import Fault, RangeServer

PIXELS = [("main", "bright", 999), ("main", "dark", 10016), ("main", "dark", 23040), ("sv3", "dark", 26065)]


@pytest.fixture
def iron(tmp_path: Path) -> Production:
    production = Production(tmp_path / "spectro" / "redux" / "iron")
    for pixel in PIXELS:
        production.add(*pixel)
    return production


def by_name(listing: ReleaseListing) -> dict[str, str]:
    return {file.url.rpartition("/")[2]: file.fingerprint for file in listing.files}


def kinds(listing: ReleaseListing) -> list[tuple[str, str]]:
    return [(file.url.rpartition("/")[2], file.kind) for file in listing.skipped]


def test_pixels_that_only_the_catalogue_has_are_skipped(iron: Production) -> None:
    iron.catalogue([*PIXELS, ("main", "dark", 23041), ("cmx", "other", 2154)])
    listing = list_release([str(iron.root)])
    assert (listing.layout, len(listing.files), listing.spectra, listing.refused) == (
        "desi-healpix",
        4,
        8,
        (),
    )
    assert kinds(listing) == [
        ("coadd-cmx-other-2154.fits", "not-on-disk"),
        ("coadd-main-dark-23041.fits", "not-on-disk"),
    ]
    assert listing.skipped[1].url == str(iron.base / "main/dark/230/23041/coadd-main-dark-23041.fits")
    assert "pixel 23041" in listing.skipped[1].reason
    # Of a part of the production the catalogue's part counts.
    part = list_release([str(iron.base / "main" / "dark")])
    assert (len(part.files), kinds(part)) == (2, [("coadd-main-dark-23041.fits", "not-on-disk")])
    assert list_release([str(iron.base / "sv3")]).skipped == ()


def test_a_file_with_published_sums_is_told_as_one_without(iron: Production) -> None:
    listing = list_release([str(iron.root)])
    for file in listing.files:
        assert file == inspect(file.url, file.redshift_url)
    assert {(file.specprod, file.survey, file.program) for file in listing.files} == {
        ("iron", survey, program) for survey, program, _ in PIXELS
    }
    for pixel in PIXELS:
        iron.sums_of(iron.add(*pixel).parent).unlink()
    without = list_release([str(iron.root)])
    # Without checksums of their own two links to one file in one survey and program are the same spectra.
    assert [file.spectra for file in without.files] == [2, 2, 2]
    assert kinds(without) == [("coadd-main-dark-23040.fits", "superseded")]
    assert not set(by_name(without).values()) & set(by_name(listing).values())


def test_unchanged_sums_mean_that_nothing_is_opened(iron: Production) -> None:
    before = list_release([str(iron.root)])
    known = {file.url: file for file in before.files}
    coadd = iron.add("main", "dark", 10016)
    coadd.unlink()
    coadd.write_bytes(b"not FITS any more, but nobody looks")
    assert list_release([str(iron.root)], known=known).files == before.files
    # Other sums are looked into; so are those of a file that was known with other redshifts.
    iron.publish(coadd.parent, "main-dark-10016.fits", "2")
    assert [file.kind for file in list_release([str(iron.root)], known=known).refused] == ["not-fits"]
    iron.publish(coadd.parent, "main-dark-10016.fits", "1")
    (coadd.parent / "redrock-main-dark-10016.fits").unlink()
    assert [file.kind for file in list_release([str(iron.root)], known=known).refused] == ["not-fits"]


def test_a_changed_sum_of_either_file_changes_that_file_alone(iron: Production) -> None:
    before = by_name(list_release([str(iron.root)]))
    folder = iron.add("main", "dark", 23040).parent
    lines = iron.sums_of(folder).read_text().splitlines()
    for line, differs in ((0, True), (1, True), (2, False)):
        changed = [("0" * 64 + text[64:]) if number == line else text for number, text in enumerate(lines)]
        iron.sums_of(folder).write_text("\n".join(changed))
        after = by_name(list_release([str(iron.root)]))
        expected = {"coadd-main-dark-23040.fits"} if differs else set()
        assert {name for name in after if after[name] != before[name]} == expected


def test_what_is_no_coadd_is_refused_whatever_is_published(iron: Production) -> None:
    coadd = iron.add("main", "dark", 23040)
    redrock = coadd.with_name("redrock-main-dark-23040.fits").read_bytes()
    coadd.unlink()
    coadd.write_bytes(redrock)
    assert [file.kind for file in list_release([str(iron.root)]).refused] == ["not-a-coadd"]
    coadd.write_bytes(b"")
    assert [file.kind for file in list_release([str(iron.root)]).refused] == ["not-fits"]


def test_adaptive_pixels_of_later_productions(tmp_path: Path) -> None:
    nevis = Production(tmp_path / "nevis", "spectra")
    for pixel in (26401, 105985):
        nevis.add("main", "dark", pixel)
    nevis.uniqpix("main", "dark", [26401, 105985, 105986])
    listing = list_release([str(nevis.root)])
    assert (listing.layout, listing.spectra) == ("desi-uniqpix", 4)
    assert kinds(listing) == [("coadd-main-dark-105986.fits", "not-on-disk")]
    assert "UNIQPIX 105986, pixel 40450 of nside 128" in listing.skipped[0].reason
    with RangeServer(tmp_path, listing=False) as server:
        remote = list_release([f"{server.url}/nevis"])
        assert (remote.layout, by_name(remote), kinds(remote)) == (
            "desi-uniqpix", by_name(listing), kinds(listing)
        )  # fmt: skip


def test_uniqpix_is_decoded_exactly() -> None:
    for order in range(30):
        nside = 1 << order
        for pixel in (0, 1, 12 * nside**2 - 1):
            assert decode_uniqpix(4 * nside**2 + pixel) == (nside, pixel)
    for uniqpix in range(4, 5000):  # as https://desidatamodel.readthedocs.io has it
        nside = 2 ** int(math.log2(uniqpix // 4) / 2)
        assert decode_uniqpix(uniqpix) == (nside, uniqpix - 4 * nside**2)


@pytest.mark.parametrize("index", [True, False])
def test_over_http_the_catalogue_and_checksums_suffice(iron: Production, index: bool, tmp_path: Path) -> None:
    iron.catalogue([*PIXELS, ("main", "dark", 23041)])
    iron.sums_of(iron.add("sv3", "dark", 26065).parent).unlink()
    local = list_release([str(iron.root)])
    with RangeServer(tmp_path, listing=index) as server:
        url = f"{server.url}/spectro/redux/iron"
        remote = list_release([url])
        assert (remote.layout, remote.root) == ("desi-healpix", url)
        assert (by_name(remote), kinds(remote)) == (by_name(local), kinds(local))
        assert all(file.redshift_url.startswith(f"{url}/healpix/") for file in remote.files)
        # One range of the first headers per new file with sums, nothing of its redshifts.
        coadds = [each for each in server.requests("*/coadd-main-*.fits") if "23041" not in each.path]
        assert sorted(each.path.rpartition("/")[2] for each in coadds) == [
            "coadd-main-bright-999.fits",
            "coadd-main-dark-10016.fits",
            "coadd-main-dark-23040.fits",
        ]
        assert server.requests("*/redrock-main-*.fits") == []
        server.forget()
        assert list_release([url], known={file.url: file for file in remote.files}) == remote
        assert {each.path.rpartition("/")[2][:22] for each in server.requests("*-main-*.fits")} == {
            "coadd-main-dark-23041."
        }
        assert list_release([f"{url}/healpix"]).files == remote.files
        assert list_release([f"{url}/healpix/main/dark"]).spectra == 4


def test_a_server_that_fails_for_a_while_costs_no_file(
    iron: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("engine.files.many_reads", "engine.files.file_systems"):
        monkeypatch.setattr(f"{module}.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("engine.surveys.inspection._FIRST_PAUSE", 0.01)
    iron.catalogue(PIXELS)
    with RangeServer(tmp_path) as server:
        url = f"{server.url}/spectro/redux/iron"
        whole = list_release([url])
        server.misbehave("*.sha256sum", Fault("status", 503), times=3)
        server.misbehave("*/coadd-*", Fault("status", 503), times=3)
        assert list_release([url]) == whole
        server.misbehave("*_10016.sha256sum", Fault("status", 503))
        listing = list_release([url], known={file.url: file for file in whole.files})
        # Its sum unknown, the file would pass for a changed one.
        assert len(listing.files) == 3
        assert [(file.url.rpartition("/")[2], file.kind) for file in listing.refused] == [
            ("coadd-main-dark-10016.fits", "retry")
        ]


def test_a_catalogue_that_names_other_places_is_not_believed(iron: Production, tmp_path: Path) -> None:
    iron.catalogue([*PIXELS, ("../..", "dark", 1)])
    listing = list_release([str(iron.root)])
    assert (len(listing.files), kinds(listing)) == (4, [("tilepix.fits", "not-a-pixel")])
    with RangeServer(tmp_path) as server:
        remote = list_release([f"{server.url}/spectro/redux/iron"])
        assert (by_name(remote), kinds(remote)) == (by_name(listing), kinds(listing))


def test_a_catalogue_of_other_types_is_refused(iron: Production) -> None:
    columns = [fits.Column(name, "J", array=[1]) for name in ("SURVEY", "PROGRAM", "HEALPIX")]
    table = fits.BinTableHDU.from_columns(columns, name="TILEPIX")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(iron.base / "tilepix.fits")
    listing = list_release([str(iron.root)])
    assert (len(listing.files), kinds(listing)) == (4, [("tilepix.fits", "undecodable-file")])


def test_a_catalogue_whose_pixels_are_no_integers_is_named(iron: Production) -> None:
    iron.catalogue(PIXELS)
    path = iron.base / "tilepix.fits"
    table = Table.read(path, hdu="TILEPIX")
    table["HEALPIX"] = table["HEALPIX"].astype(float)
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="TILEPIX")]).writeto(path, overwrite=True)
    listing = list_release([str(iron.root)])
    assert (len(listing.files), kinds(listing)) == (4, [("tilepix.fits", "not-integers")])


def test_known_files_are_those_of_their_url(iron: Production) -> None:
    listing = list_release([str(iron.root)])
    other: dict[str, SourceFile] = {listing.files[0].url: listing.files[1]}
    assert list_release([str(iron.root)], known=other) == listing
