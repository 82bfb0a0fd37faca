"""What goes wrong with files, servers and stores: a status or a reason for each, and sums that add up."""

from __future__ import annotations

import resource
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from engine.files import file_systems
from engine.run import block_reading, drive
from engine.run.events import FilesListed, RunEvent
from engine.store.reading import StoreView
from engine.store.verify import verify
from flows.run.request import RunSummary
from flows.run_release import run_release
from infra.settings import Settings
from models.errors import InputError, RetryError
from models.row_status import RowStatus
from tests.servers.http_ranges import Fault, RangeServer
from tests.servers.s3 import BUCKET, S3Server
from tests.small_run import small_release, small_request, tree_bytes

pytestmark = pytest.mark.usefixtures("impatient")

FILES, PER_FILE = 10, 4
SPECTRA = FILES * PER_FILE
BLOCK_ROWS = 16
"""Four files to a block, none in two."""

Change = Callable[[fits.HDUList], None]


class Meanwhile:
    """Does something when all files have been listed and none has been read."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def on_event(self, event: RunEvent) -> None:
        match event:
            case FilesListed(done, files) if done == files:
                self._act()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses and time-outs of a test's length."""
    monkeypatch.setattr(file_systems, "ATTEMPTS", 3)
    monkeypatch.setattr(file_systems, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(file_systems, "READ_SECONDS", 0.3)
    monkeypatch.setattr(block_reading, "_PAUSE", 0.05)
    monkeypatch.setattr(drive, "RETRIES", 1)
    monkeypatch.setattr(drive, "FIRST_PAUSE", 0.01)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small release in ten files; tests take a copy."""
    return small_release(tmp_path_factory.mktemp("many") / "release", SPECTRA, per_file=PER_FILE)


@pytest.fixture(scope="module")
def sound(many: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of that release when nothing goes wrong; not to be changed."""
    store = tmp_path_factory.mktemp("sound") / "odd.zarr"
    run_release(replace(small_request(many, store, model), block_rows=BLOCK_ROWS), Settings())
    return store


@pytest.fixture
def release(many: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(many, tmp_path / "release")


@pytest.fixture
def run(model: Path, tmp_path: Path) -> Callable[..., RunSummary]:
    """Run a release, by path or URL, into ``<tmp>/odd.zarr`` or another store."""

    def run_into(
        release: object, store: object = tmp_path / "odd.zarr", meanwhile: Callable[[], object] = lambda: None
    ) -> RunSummary:
        request = replace(small_request(Path(), Path(), model), release=(str(release),), store=str(store))
        asked = replace(request, block_rows=BLOCK_ROWS)
        summary = run_release(asked, Settings(), [Meanwhile(meanwhile)])
        check_sums(summary)
        return summary

    return run_into


def check_sums(summary: RunSummary) -> None:
    """The numbers of a summary are those of its store."""
    table = StoreView.open(summary.store).table(["status"])
    assert sum(count for _, count in summary.status_counts) == summary.spectra
    assert summary.store_spectra == len(table)
    assert len({file.url for file in summary.quarantined}) == len(summary.quarantined)
    assert all(file.reason and file.kind for file in summary.quarantined)


def coadds(release: Path) -> list[Path]:
    """The coadds in the order of their rows."""
    return sorted(release.rglob("coadd-*.fits"))


def redrock_of(coadd: Path) -> Path:
    return coadd.with_name(coadd.name.replace("coadd-", "redrock-"))


def rewrite(path: Path, change: Change) -> None:
    """Change a file's HDUs, with checksums that fit."""
    with fits.open(path, memmap=False) as hdus:
        hdus.readall()
        copy = fits.HDUList([hdu.copy() for hdu in hdus])
    change(copy)
    copy.writeto(path, checksum=True, overwrite=True)


def flip(path: Path, name: str) -> None:
    """Change one bit in the middle of an HDU's data."""
    with fits.open(path) as hdus:
        info = hdus[name].fileinfo()
    with path.open("r+b") as stream:
        stream.seek(info["datLoc"] + hdus[name].size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 0x40]))


def rows_of(store: object, *, all_rows: bool = False) -> pd.DataFrame:
    """The store's rows with the name of their file and their status by label."""
    table = StoreView.open(str(store)).table()
    table["file"] = [str(source).rpartition("/")[2] for source in table["source"]]
    table["label"] = [RowStatus(code).label for code in table["status"]]
    return table if all_rows else table[~table["superseded"]]


def what_counts(store: object) -> pd.DataFrame:
    """Rows that count by file and row, without what depends on who shared their batch."""
    columns = ["target_id", "redshift", "label", "outlier", "arms"]
    return rows_of(store).set_index(["file", "source_row"]).sort_index()[columns]


def labels(store: object, file: Path) -> dict[str, int]:
    """How many rows of a file have which status."""
    table = rows_of(store)
    return dict(Counter(table.loc[table["file"] == file.name, "label"]))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to make files larger than ``size`` bytes (EFBIG), as a full disk does (ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Files that are damaged or odd before they are listed.


def test_damaged_files_are_quarantined_by_name_and_taken_when_they_are_whole(
    run: Callable[..., RunSummary], release: Path, many: Path, sound: Path, tmp_path: Path
) -> None:
    files = coadds(release)
    torn, flipped, flipped_redshifts, armless, vanishing, shrinking = files[:6]
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    flip(flipped, "Z_FLUX")
    flip(redrock_of(flipped_redshifts), "REDSHIFTS")
    rewrite(armless, lambda hdus: hdus.pop("R_IVAR"))

    def meanwhile() -> None:
        vanishing.unlink()
        shrinking.write_bytes(shrinking.read_bytes()[:400_000])

    first = run(release, meanwhile=meanwhile)
    assert {file.url: file.kind for file in first.quarantined} == {
        str(torn): "truncated-file",
        str(flipped): "checksum-mismatch",
        str(flipped_redshifts): "checksum-mismatch",
        str(armless): "missing-hdu",
        str(vanishing): "missing-file",
        str(shrinking): "truncated-file",
    }
    # A listing looks at first headers only: all of it is found when the files are read.
    assert (first.files_new, first.spectra) == (FILES, SPECTRA)
    assert dict(first.status_counts)["file_unreadable"] == 6 * PER_FILE
    for file in files[:6]:
        assert labels(tmp_path / "odd.zarr", file) == {"file_unreadable": PER_FILE}
    untouched = [file.name for file in files[6:]]
    pd.testing.assert_frame_equal(
        what_counts(tmp_path / "odd.zarr").loc[untouched], what_counts(sound).loc[untouched]
    )
    assert verify(str(tmp_path / "odd.zarr")).ok

    # Nothing healed: no new rows, and the reasons are told again.
    again = run(release)
    assert (again.did_something, again.store_spectra) == (False, SPECTRA)
    assert {file.url: file.kind for file in again.quarantined} == {
        str(torn): "truncated-file",
        str(flipped): "checksum-mismatch",
        str(flipped_redshifts): "checksum-mismatch",
        str(armless): "missing-hdu",
        str(redrock_of(vanishing)): "not-a-coadd",
        str(shrinking): "truncated-file",
    }
    assert (again.files_unchanged, again.files_refused) == (FILES - 6, 6)
    assert again.files_gone == 1  # the one that vanished
    before = tree_bytes(tmp_path / "odd.zarr")
    assert not run(release).did_something
    assert tree_bytes(tmp_path / "odd.zarr") == before

    # All healed: what counts is what it would have been, beside rows that are marked.
    shutil.copytree(many, release, dirs_exist_ok=True)
    healed = run(release)
    assert healed.quarantined == ()
    assert healed.spectra == 6 * PER_FILE
    assert healed.store_spectra == SPECTRA + 6 * PER_FILE
    pd.testing.assert_frame_equal(what_counts(tmp_path / "odd.zarr"), what_counts(sound))
    everything = rows_of(tmp_path / "odd.zarr", all_rows=True)
    assert set(everything.loc[everything["superseded"], "label"]) == {"file_unreadable"}
    assert int(everything["superseded"].sum()) == 6 * PER_FILE
    assert verify(str(tmp_path / "odd.zarr")).ok
    assert not run(release).did_something


def test_a_file_in_two_blocks_is_compared_before_a_run_that_is_asked_to(
    model: Path, many: Path, tmp_path: Path
) -> None:
    release = shutil.copytree(many, tmp_path / "release")
    victim = coadds(release)[4]
    flip(victim, "B_FLUX")
    request = replace(
        small_request(release, tmp_path / "odd.zarr", model), block_rows=BLOCK_ROWS + 2, check_data=True
    )
    summary = run_release(request, Settings())
    assert [(file.url, file.kind) for file in summary.quarantined] == [(str(victim), "checksum-mismatch")]
    assert (summary.files_new, summary.spectra) == (FILES - 1, SPECTRA - PER_FILE)
    assert "file_unreadable" not in dict(summary.status_counts)


def test_odd_contents_become_a_status_or_change_nothing(
    run: Callable[..., RunSummary], release: Path, sound: Path, tmp_path: Path
) -> None:
    files = coadds(release)
    lone, reversed_, doubled, negative, nowhere, masked, empty, two_armed = files[:8]
    redrock_of(lone).unlink()

    def reverse(hdus: fits.HDUList) -> None:
        hdus["REDSHIFTS"].data = hdus["REDSHIFTS"].data[::-1].copy()

    def double(hdus: fits.HDUList) -> None:
        hdus["FIBERMAP"].data["TARGETID"][1] = hdus["FIBERMAP"].data["TARGETID"][0]

    def make_negative(hdus: fits.HDUList) -> None:
        hdus["FIBERMAP"].data["TARGETID"][:3] = [-1, -7, 0]

    def lose_position(hdus: fits.HDUList) -> None:
        hdus["FIBERMAP"].data["TARGET_RA"][0] = np.nan
        hdus["FIBERMAP"].data["TARGET_DEC"][1] = np.inf

    def mask(hdus: fits.HDUList) -> None:
        for arm in "BRZ":
            hdus[f"{arm}_MASK"].data[:] = 1

    def clear(hdus: fits.HDUList) -> None:
        for hdu in hdus[1:]:
            if hdu.data.ndim == 2 or hdu.name in ("FIBERMAP", "SCORES", "EXP_FIBERMAP"):
                hdu.data = hdu.data[:0]

    def drop_arm(hdus: fits.HDUList) -> None:
        for kind in ("WAVELENGTH", "FLUX", "IVAR", "MASK"):
            hdus.pop(f"R_{kind}")

    rewrite(redrock_of(reversed_), reverse)
    for path, change in (
        (doubled, double), (negative, make_negative), (nowhere, lose_position), (masked, mask),
        (empty, clear), (two_armed, drop_arm),
    ):  # fmt: skip
        rewrite(path, change)

    summary = run(release)
    assert [(file.url, file.kind) for file in summary.quarantined] == [(str(lone), "missing-redshifts")]
    assert (summary.files_new, summary.spectra) == (FILES - 1, SPECTRA - 2 * PER_FILE)
    store, whole = what_counts(tmp_path / "odd.zarr"), what_counts(sound)
    same = [reversed_.name, *(file.name for file in files[8:])]
    pd.testing.assert_frame_equal(store.loc[same], whole.loc[same])

    def moved(file: Path, weaker: set[str], label: str) -> list[str]:
        """The statuses a file had, with the weaker ones replaced."""
        return [label if was in weaker else was for was in whole.loc[file.name]["label"]]

    open_ = set(whole["label"]) - {"no_target", "sky_fibre", "bad_fibre"}
    assert lone.name not in store.index
    assert store.loc[masked.name]["label"].tolist() == moved(
        masked, open_ - {"no_redshift"}, "no_good_pixels"
    )
    assert store.loc[negative.name]["label"].tolist()[:3] == ["no_target"] * 3
    assert store.loc[negative.name]["label"].tolist()[3:] == whole.loc[negative.name]["label"].tolist()[3:]
    twins = store.loc[doubled.name]
    assert twins["target_id"][0] == twins["target_id"][1]
    assert twins["redshift"][0] == twins["redshift"][1]
    assert twins["label"].tolist() == [
        whole.loc[doubled.name]["label"][0], "repeated_target", *whole.loc[doubled.name]["label"][2:]
    ]  # fmt: skip
    assert empty.name not in store.index
    # A lone arm's absence may cost the score, never the row.
    assert len(store.loc[two_armed.name]) == PER_FILE
    assert set(store.loc[two_armed.name]["arms"]) <= {"bz", ""}
    positions = rows_of(tmp_path / "odd.zarr").set_index(["file", "source_row"])
    pd.testing.assert_series_equal(store.loc[nowhere.name]["label"], whole.loc[nowhere.name]["label"])
    assert positions.loc[nowhere.name]["healpix_29"].tolist()[:2] == [-1, -1]
    assert verify(str(tmp_path / "odd.zarr")).ok
    assert not run(release).did_something


# Servers that fail.


def test_what_passes_is_not_noticed(
    run: Callable[..., RunSummary], release: Path, sound: Path, tmp_path: Path
) -> None:
    with RangeServer(release) as web:
        for pattern, fault in (
            ("*coadd-*1.fits", Fault("status", 503)),
            ("*coadd-*2.fits", Fault("status", 429)),
            ("*coadd-*3.fits", Fault("cut")),
            ("*coadd-*4.fits", Fault("hang")),
            ("*redrock-*", Fault("status", 500)),
        ):
            web.misbehave(pattern, fault, times=2)
        summary = run(web.url, meanwhile=lambda: web.misbehave("*", Fault("cut", share=0.1), times=2))
    assert summary.quarantined == ()
    pd.testing.assert_frame_equal(what_counts(tmp_path / "odd.zarr"), what_counts(sound))


def test_a_file_that_its_server_never_gives_is_quarantined_and_the_run_goes_on(
    run: Callable[..., RunSummary], release: Path, sound: Path, tmp_path: Path
) -> None:
    faults = {
        "read-failed": [Fault("status", 500), Fault("hang"), Fault("cut")],
        "missing-file": [Fault("status", 404)],
        "unreadable-file": [Fault("status", 403)],
    }
    victims = dict(
        zip(coadds(release), [(kind, fault) for kind in faults for fault in faults[kind]], strict=False)
    )
    with RangeServer(release) as web:

        def fail() -> None:
            for file, (_, fault) in victims.items():
                web.misbehave(f"*{file.name}", fault)

        first = run(web.url, meanwhile=fail)
        found = {file.url.rpartition("/")[2]: file.kind for file in first.quarantined}
        assert found == {file.name: kind for file, (kind, _) in victims.items()}
        assert (first.spectra, dict(first.status_counts)["file_unreadable"]) == (SPECTRA, 5 * PER_FILE)
        untouched = [file.name for file in coadds(release)[5:]]
        pd.testing.assert_frame_equal(
            what_counts(tmp_path / "odd.zarr").loc[untouched], what_counts(sound).loc[untouched]
        )
        # Listed as if nothing were wrong, and still not to be had: no new rows.
        before = tree_bytes(tmp_path / "odd.zarr")
        web.behave()
        again = run(web.url, meanwhile=fail)
        assert not again.did_something
        assert sorted(file.url for file in again.quarantined) == sorted(
            file.url for file in first.quarantined
        )
        assert tree_bytes(tmp_path / "odd.zarr") == before
        web.behave()
        healed = run(web.url)
    assert (healed.quarantined, healed.spectra) == ((), 5 * PER_FILE)
    pd.testing.assert_frame_equal(what_counts(tmp_path / "odd.zarr"), what_counts(sound))
    assert verify(str(tmp_path / "odd.zarr")).ok


def test_bytes_that_change_on_the_way_are_not_scored(
    run: Callable[..., RunSummary], release: Path, tmp_path: Path
) -> None:
    victim = coadds(release)[3]
    with RangeServer(release) as web:
        summary = run(web.url, meanwhile=lambda: web.misbehave(f"*{victim.name}", Fault("flip")))
        assert [file.url.rpartition("/")[2] for file in summary.quarantined] == [victim.name]
        assert labels(tmp_path / "odd.zarr", victim) == {"file_unreadable": PER_FILE}
        web.behave()
        assert run(web.url).spectra == PER_FILE


def test_a_server_that_is_away_stops_the_run_which_continues(
    run: Callable[..., RunSummary], release: Path, sound: Path, tmp_path: Path
) -> None:
    with RangeServer(release) as web:
        with pytest.raises(RetryError, match="Reading a source file failed") as caught:
            run(web.url, meanwhile=lambda: web.misbehave("*", Fault("status", 503)))
        assert caught.value.exit_code == 75
        assert "503" in caught.value.got
        assert StoreView.open(str(tmp_path / "odd.zarr")).spectra == 0
        with pytest.raises(RetryError):
            run(web.url)  # not even listed
        web.behave()
        summary = run(web.url)
        assert (summary.quarantined, summary.spectra) == ((), SPECTRA)
    pd.testing.assert_frame_equal(what_counts(tmp_path / "odd.zarr"), what_counts(sound))


@pytest.mark.slow
def test_an_object_that_its_bucket_never_gives_is_quarantined(
    run: Callable[..., RunSummary], s3_user: S3Server, release: Path, sound: Path, tmp_path: Path
) -> None:
    victims = dict(zip(coadds(release), (("read-failed", 500), ("unreadable-file", 403)), strict=False))
    url = s3_user.upload(release, "faulty")

    def fail() -> None:
        for file, (_, code) in victims.items():
            s3_user.misbehave("GET", f"*{file.name}", code)

    first = run(url, meanwhile=fail)
    found = {file.url.rpartition("/")[2]: file.kind for file in first.quarantined}
    assert found == {file.name: kind for file, (kind, _) in victims.items()}
    s3_user.behave()
    assert run(url).spectra == 2 * PER_FILE
    pd.testing.assert_frame_equal(what_counts(tmp_path / "odd.zarr"), what_counts(sound))


# Stores that fail.


def test_a_store_without_room_stops_the_run_which_continues_when_there_is(
    run: Callable[..., RunSummary], many: Path, sound: Path, tmp_path: Path
) -> None:
    store = tmp_path / "odd.zarr"
    largest = max(len(data) for data in tree_bytes(sound).values())
    with largest_file(largest // 2), pytest.raises(RetryError, match="could not be written") as caught:
        run(many)
    assert "File too large" in caught.value.got
    assert "free space" in caught.value.remedy
    assert not list(store.rglob("*.partial"))
    assert [fault for fault in verify(str(store)).faults if fault.kind == "damaged"] == []
    run(many)
    assert tree_bytes(store) == tree_bytes(sound)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "error", "kind", "status"),
    [(500, RetryError, "store-io", 75), (403, InputError, "store-not-writable", 66)],
)
def test_a_bucket_that_stops_taking_objects_stops_the_run_which_continues_when_it_does(
    run: Callable[..., RunSummary],
    s3_user: S3Server,
    many: Path,
    sound: Path,
    code: int,
    error: type[RetryError | InputError],
    kind: str,
    status: int,
) -> None:
    store = f"s3://{BUCKET}/refusing-{code}.zarr"
    s3_user.misbehave("PUT", f"{BUCKET}/refusing-{code}.zarr/*/c/1*", code)
    with pytest.raises(error) as caught:
        run(many, store)
    assert (caught.value.kind, caught.value.exit_code) == (kind, status)
    assert StoreView.open(store).spectra == BLOCK_ROWS
    s3_user.behave()
    run(many, store)
    assert s3_user.objects(f"refusing-{code}.zarr") == tree_bytes(sound)
