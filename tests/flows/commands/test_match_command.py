"""``whyspec match``: numbers on the terminal and as JSON, rows in files, what is new in a list."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import whyspec
from flows.command_line import run_command
from tests.synthetic_store import SyntheticStore, synthetic_store

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    return synthetic_store(tmp_path_factory.mktemp("match") / "odd.zarr")


@pytest.fixture
def known(store: SyntheticStore, tmp_path: Path) -> str:
    """A table of rows 0 to 19, five of them outliers, and one object that is elsewhere."""
    rows = {name: store.rows[name][:20] for name in ("ra", "dec", "target_id")}
    table = pd.DataFrame(rows).assign(kind=["lens", "agn"] * 10)
    elsewhere = pd.DataFrame({"ra": [1.0], "dec": [-80.0], "target_id": [5], "kind": ["lens"]})
    pd.concat([table, elsewhere]).to_csv(tmp_path / "known.csv", index=False)
    return str(tmp_path / "known.csv")


def test_the_terminal_says_what_is_known_and_new(store: SyntheticStore, known: str, capsys: Captured) -> None:
    assert run_command(["match", store.url, known, "--near", "1arcsec", "--class", "kind"]) == 0
    out = capsys.readouterr().out
    assert "known.csv: 21 objects of 21 rows" in out
    assert "nearest within 1 arcsec, columns ra, dec: 20 objects with 20 spectra" in out
    assert "about 0 of them: so many match when the spectra are moved" in out
    assert "38: 5 known, 33 new" in out
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert lines["agn"][:5] == ["agn", "10", "10", "9", "5"]
    assert lines["lens"][:5] == ["lens", "11", "10", "8", "0"]
    assert lines["all"][:6] == ["all", "21", "20", "17", "5", "29%"]


def test_json_has_the_numbers_and_a_file_the_spectra(
    store: SyntheticStore, known: str, tmp_path: Path, capsys: Captured
) -> None:
    rows = tmp_path / "rows.parquet"
    assert run_command(["match", store.url, known, "--json", "-o", str(rows)]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert (summary["matched_by"], summary["known"], summary["new"]) == ("target_id", 5, 33)
    assert summary["everything"]["enrichment"]["value"] == pytest.approx(5 / (17 * 38 / 127))
    assert summary["classes"] == []
    assert "20 rows: " in err
    frame = pd.read_parquet(rows)
    assert frame["rank"].tolist()[:17] == sorted(frame["rank"].dropna())
    assert sorted(frame["table_row"]) == list(range(20))
    assert "separation" not in frame
    assert run_command(["match", store.url, known, "--near", "1arcsec", "-o", f"{rows}.fits"]) == 0
    capsys.readouterr()


def test_names_of_others_are_shown_as_plain_text_and_no_match_is_said(
    store: SyntheticStore, tmp_path: Path, capsys: Captured
) -> None:
    rows = "\n".join(f"{number},{number},\x1b[31mred[bold]" for number in range(1, 13))
    (tmp_path / "known.csv").write_text(f"ra,dec,kind\n{rows}\n")
    rows_too = tmp_path / "rows.parquet"
    options = ["--near", "0.01arcsec", "--class", "kind", "-o", str(rows_too)]
    assert run_command(["match", store.url, str(tmp_path / "known.csv"), *options]) == 0
    out = capsys.readouterr().out
    assert len(pd.read_parquet(rows_too)) == 0
    assert "\x1b" not in out
    assert "red[bold]" in out
    assert "Nothing matches. Compare the table's positions with those of" in out
    assert "ra has no unit and is at most 12. It was taken for degrees." in out


@pytest.mark.parametrize("end", ["csv", "json", "ecsv", "vot", "fits", "txt"])
def test_new_outliers_in_every_format(
    store: SyntheticStore, known: str, tmp_path: Path, capsys: Captured, end: str
) -> None:
    file = tmp_path / f"new.{end}"
    assert run_command(["match", store.url, known, "--near", "1arcsec", "--new", "-o", str(file)]) == 0
    assert f"33 rows: {file}" in capsys.readouterr().err
    assert file.stat().st_size > 1000


def test_new_outliers_without_a_file_are_all_of_standard_output(
    store: SyntheticStore, known: str, capsys: Captured
) -> None:
    assert run_command(["match", store.url, known, "z < 0.2", "--new", "--top", "7"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].endswith("spectra")
    assert "known.csv" in err
    assert "known.csv" not in out


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        (("--near", "1"), 64, "The radius has no unit that is known here."),
        (("--near", "1deg"), 64, "The radius is too large for a match by position."),
        (("--near", "1arcsec", "--id", "target_id"), 64, "A match is either by name or by position."),
        (("--class", "type"), 66, "The table has no column of that name for classes."),
        (("--class="), 64, "An option is given and empty."),
        (("tail < 0.1",), 64, "The selection of a match looks at what makes spectra odd."),
        (("-o", "rows"), 64, "The file's name does not say which format the file is to have."),
    ],
)
def test_what_does_not_fit_is_refused(
    store: SyntheticStore,
    known: str,
    capsys: Captured,
    options: tuple[str, ...] | str,
    status: int,
    error: str,
) -> None:
    words = [options] if isinstance(options, str) else list(options)
    assert run_command(["match", store.url, known, *words]) == status
    assert error in capsys.readouterr().err


def test_a_store_in_python_matches_as_the_command(store: SyntheticStore, known: str) -> None:
    found = whyspec.open(store.url).match(known, near="1arcsec", class_column="kind", where="z < 0.25")
    assert found.classes.index.tolist() == ["agn", "lens", "all"]
    row = found.classes.loc["all"]
    assert row["recovery_low"] < row["recovery"] < row["recovery_high"]
    assert row["scored"] == found.summary.everything.scored
    assert len(found.matched) == found.summary.matched
    assert len(found.new) == found.summary.new
    same = whyspec.open(store.url).match(pd.read_csv(known), near="1arcsec", where="z < 0.25")
    assert same.summary.everything == found.summary.everything
    assert "known" in repr(found)
    assert found._repr_html_().startswith("<div>")
    table = found.matched.to_astropy()
    assert str(table["separation"].unit) == "arcsec"
    assert table["rank"].mask.sum() == found.summary.matched - row["scored"]
    assert found.matched.to_xarray()["separation"].attrs["units"] == "arcsec"


def test_a_match_is_written_as_a_table_alone(
    store: SyntheticStore, known: str, tmp_path: Path, capsys: Captured
) -> None:
    assert run_command(["match", store.url, known, "-o", str(tmp_path / "known.lst")]) == 64
    told = " ".join(capsys.readouterr().err.split())
    assert "A list for viewers is made by a query alone." in told
    assert "'whyspec query --format list'" in told
