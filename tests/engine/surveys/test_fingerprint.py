"""Fingerprints change with the content that is read, and with nothing else."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.surveys.fingerprint import PublishedChecksums
from engine.surveys.reading import inspect
from tests.engine.surveys.coadd_files import CoaddContent


def taken(content: CoaddContent, directory: Path, name: str = "main-dark-1.fits") -> str:
    return inspect(*content.write(directory, name=name)).fingerprint


def test_the_same_content_has_the_same_fingerprint_anywhere_and_any_time(tmp_path: Path) -> None:
    first = taken(CoaddContent(), tmp_path / "a")
    assert len(first) == 64
    assert int(first, 16) > 0
    assert taken(CoaddContent(), tmp_path / "b", "main-dark-2.fits") == first
    os.utime(tmp_path / "a" / "coadd-main-dark-1.fits", (1, 1))
    paths = [str(tmp_path / "a" / f"{kind}-main-dark-1.fits") for kind in ("coadd", "redrock")]
    assert inspect(*paths).fingerprint == first


@pytest.mark.parametrize("what", ["flux", "ivar", "mask", "targetid", "fiberstatus", "ra"])
@pytest.mark.parametrize("sums", [True, False])
def test_one_changed_value_changes_it(tmp_path: Path, what: str, sums: bool) -> None:
    def write(content: CoaddContent) -> str:
        path = tmp_path / "coadd-main-dark-1.fits"
        content.alone().writeto(path, checksum=sums, overwrite=True)
        return inspect(str(path)).fingerprint

    content = CoaddContent(count=2)
    before = write(content)
    assert write(CoaddContent(count=2)) == before
    if what in ("flux", "ivar", "mask"):
        getattr(content, what)["R"][1, 1000] += 1
    else:
        getattr(content, what)[1] += 1
    assert write(content) != before


def test_redshifts_count(tmp_path: Path) -> None:
    content = CoaddContent()
    before = taken(content, tmp_path)
    content.redshift[3] += 1e-6
    assert taken(content, tmp_path) != before


def test_what_names_the_spectra_counts(tmp_path: Path) -> None:
    prints = {
        taken(CoaddContent(header={"SURVEY": survey, "PROGRAM": program}), tmp_path / survey / program)
        for survey in ("main", "sv3")
        for program in ("dark", "bright")
    }
    assert len(prints) == 4


def test_published_sums_are_used_and_their_change_is_seen(tmp_path: Path) -> None:
    content = CoaddContent()
    plain = taken(content, tmp_path)
    path = tmp_path / "coadd-main-dark-1.fits"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    listing = tmp_path / "redux_iron_healpix_main_dark_0_1.sha256sum"
    listing.write_text(f"{'0' * 64}  spectra-main-dark-1.fits\n{digest}  coadd-main-dark-1.fits\n")
    assert PublishedChecksums().of(str(path)) == digest
    assert PublishedChecksums().of(str(tmp_path / "redrock-main-dark-1.fits")) == ""
    published = taken(content, tmp_path)
    assert published != plain
    listing.write_text(f"{'1' * 64}  coadd-main-dark-1.fits\n")
    assert len({plain, published, taken(content, tmp_path)}) == 3
    listing.write_text(f"{'1' * 64}  another.fits\nnonsense\n")
    assert taken(content, tmp_path) == plain


def test_sdss_files_are_told_by_the_tables_that_are_read(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "real" / "sdss" / "spec-0266-51602-0573.fits"
    path = tmp_path / source.name
    shutil.copy(source, path)
    before = inspect(str(path)).fingerprint
    assert before == inspect(str(source)).fingerprint
    for hdu, column in ((1, "flux"), (1, "and_mask"), (2, "Z")):
        with fits.open(source, memmap=False) as hdus:
            hdus[hdu].data[column][0] += 1
            hdus.writeto(path, overwrite=True)
        assert inspect(str(path)).fingerprint != before
    prints = {inspect(str(file)).fingerprint for file in (real_data / "sky").glob("*.fits")}
    assert len(prints) == 91


def test_gzip_does_not_hide_a_change(tmp_path: Path) -> None:
    content = CoaddContent(count=2)
    prints = set()
    for _ in range(2):
        content.alone().writeto(tmp_path / "coadd.fits", overwrite=True)
        (tmp_path / "coadd.fits.gz").write_bytes(gzip.compress((tmp_path / "coadd.fits").read_bytes(), 1))
        prints.add(inspect(str(tmp_path / "coadd.fits.gz")).fingerprint)
        content.flux["B"] = content.flux["B"] + np.float32(1)
    assert len(prints) == 2
