"""Runs and explanations with targets, redshifts and classes of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.store.reading import StoreView
from engine.store.verify import verify
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from flows.command_line import run_command
from models.row_status import RowStatus
from tests.small_run import small_options


@pytest.fixture(scope="module")
def galaxies(release: Path) -> dict[int, float]:
    """TARGETIDs of the release's first file that can be scored, with their redshifts."""
    rows = read_spectra(list_release([str(release)]).files[0]).rows
    fine = (rows["status"] == RowStatus.SCORED) & (rows["spectype"] == "GALAXY")
    return dict(zip(rows["target_id"][fine].tolist(), rows["redshift"][fine].tolist(), strict=True))


def test_a_store_is_bound_to_its_tables(
    release: Path,
    model: Path,
    galaxies: dict[int, float],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second, third = list(galaxies)[:3]
    targets, redshifts = tmp_path / "targets.txt", tmp_path / "z.csv"
    targets.write_text(f"targetid\n{first}\n{second}\n{third}\n12345\n")
    redshifts.write_text(f"targetid,z\n{second},{galaxies[second] + 0.01}\n99,0.5\n")
    store = tmp_path / "own.zarr"
    run = ["run", str(release), *small_options(store, model), "--score-only"]
    own = ["--targets", str(targets), "--redshifts", str(redshifts)]
    assert run_command([*run, *own]) == 0
    shown = capsys.readouterr()
    text = " ".join((shown.out + shown.err).split())
    assert f"--targets: the release does not have 1 of the 4 names of {targets}: 12345." in text
    assert f"--redshifts: no spectrum that is read has 1 of the 2 names of {redshifts}: 99." in text
    table = StoreView.open(str(store)).table().set_index("target_id")
    assert set(table.index) == {first, second, third}
    assert table["own_redshift"].to_dict() == {first: False, second: True, third: False}
    assert table.loc[second, "redshift"] == galaxies[second] + 0.01
    assert table.loc[first, "redshift"] == galaxies[first]
    assert verify(str(store)).ok
    # The same names in another order and format are the same tables.
    targets.write_text(f"z,target_id\n0,{third}\n0,12345\n0,{second}\n0,{first}\n")
    assert run_command([*run, *own]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    for less, name in ((own[:2], "redshifts"), (own[2:], "targets")):
        assert run_command([*run, *less]) == 64
        error = capsys.readouterr().err
        assert "The store was made with another configuration" in error
        assert f"{name}: none here" in error
    assert run_command([*run, *own, "--class-of", "QSO"]) == 64
    assert "own_class: QSO here, none there" in capsys.readouterr().err


def test_one_spectrum_is_explained_at_a_redshift_of_ones_own(
    release: Path,
    model: Path,
    galaxies: dict[int, float],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target, other = list(galaxies)[:2]
    file = list_release([str(release)]).files[0].url
    table = tmp_path / "z.csv"
    table.write_text(f"targetid,z,class\n{target},{galaxies[target] + 0.02},GALAXY\n")
    explain = ["explain", file, "--target-id", str(target), "--model", str(model), "--json"]
    options = ["--windows", "64,512", "--baselines", "2", "--preset", "reference-code"]
    assert run_command([*explain, *options, "--redshifts", str(table)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["redshift"] == galaxies[target] + 0.02
    assert told["observation"]["fiber"] >= 0
    assert told["observation"]["exposures"]
    table.write_text("targetid,z\n77,0.2\n")
    assert run_command([*explain, *options, "--redshifts", str(table)]) == 66
    assert "The table of redshifts names no spectrum of the file" in capsys.readouterr().err
    assert other != target


def test_a_table_that_is_not_there_is_refused(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "s.zarr"
    for option in ("--targets", "--redshifts"):
        run = ["run", str(release), "--store", str(store), option, str(tmp_path / "nothing.fits")]
        assert run_command(run) == 66
        assert "The table cannot be read" in capsys.readouterr().err
    assert not store.exists()
