"""``whyspec bench read`` as a user meets it, and that what it compares is the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.surveys.reading import inspect, read_spectra
from flows.bench.approaches import Skipped
from flows.bench.reading_approaches import ReadingApproach, coadd_approaches, coadd_arms
from flows.command_line import run_command
from models.weights import load_model
from tests.engine.surveys.coadd_files import CoaddContent
from tests.small_run import whyspec


def test_one_json_document_and_tables_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "reading.json"
    done = whyspec(
        "bench", "read", "--spectra", 6, "--plate", 5, "--repeats", 1, "--skip", "desispec,specutils",
        "--json", "-o", file,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads(file.read_text())
    assert (found["schema"], found["repeats"], found["machine"]["threads"]) == (1, 1, 1)
    assert [(case["subject"], case["spectra"]) for case in found["cases"]] == [("coadd", 6), ("plate", 5)]
    for case in found["cases"]:
        names = [one["approach"] for one in case["measurements"]]
        assert names == ["whyspec, normalised", "whyspec", "whyspec, whole", "fitsio", "astropy"]
        assert {one["approach"] for one in case["skipped"]} <= {"desispec", "specutils"}
        for one in case["measurements"]:
            assert 0 < one["microseconds"] <= one["median_microseconds"]
            if one["approach"].startswith("whyspec"):
                assert one["bytes_read"] < 0.9 * case["file_bytes"]
    assert "skipped, left out by --skip specutils" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    rows = [line.rstrip() for line in done.stderr.splitlines() if "   " in line.strip()]
    assert max(map(len, rows)) <= 80
    assert "…" not in done.stderr


def test_all_approaches_give_the_same_spectra(tmp_path: Path) -> None:
    content = CoaddContent(count=20)
    file = inspect(*content.write(tmp_path))
    spectra = read_spectra(file)
    images = {"FLUX": content.flux, "IVAR": content.ivar, "MASK": content.mask}
    flux, ivar = coadd_arms(lambda name: images[name[2:]][name[0]], 20)
    np.testing.assert_allclose(flux, spectra.flux, rtol=2e-6, atol=1e-5)
    np.testing.assert_allclose(ivar, spectra.ivar, rtol=1e-6)
    approaches = {
        one.approach if isinstance(one, Skipped) else one.name: one
        for one in coadd_approaches(file, load_model("desi-galaxy").card)
    }
    for name in ("fitsio", "astropy"):
        one = approaches[name]
        if isinstance(one, ReadingApproach):
            (theirs, _), _ = one.run()  # type: ignore[misc]
            np.testing.assert_array_equal(theirs, flux)


def test_settings_that_make_no_sense_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, where in (
        (["--spectra", "0"], "--spectra"),
        (["--plate", "1001"], "--plate"),
        (["--skip", "numpy"], "--skip"),
    ):
        assert run_command(["bench", "read", *options]) == 64
        assert where in capsys.readouterr().err
    assert run_command(["bench", "read", "-o", str(tmp_path / "nowhere" / "bench.json")]) == 66
    assert "directory does not exist" in " ".join(capsys.readouterr().err.split())
