"""What the simulator refuses, and what it says then."""

from pathlib import Path
from typing import Any

import pytest

from engine.simulation.release import SimulationSettings, simulate_release
from models.errors import ConfigurationError, InputError


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"spectra": 0}, r"where: spectra\n.*got: 0\n.*allowed: 1 to 5000000"),
        ({"outlier_fraction": 1.5}, r"where: outlier_fraction\n.*got: 1.5\n.*allowed: 0 to 1"),
        ({"outlier_fraction": float("nan")}, "where: outlier_fraction"),
        ({"spectra_per_file": 0}, "where: spectra_per_file"),
        ({"seed": -1}, "where: seed"),
        ({"survey": "lamost"}, "allowed: desi or sdss"),
        ({"release": "boss"}, "allowed: dr1 or edr"),
        ({"survey": "sdss", "release": "dr1"}, "allowed: legacy or boss or sdssv"),
        ({"form": "plate"}, "allowed: coadd"),
        ({"survey": "sdss", "form": "coadd"}, "allowed: spec or plate"),
        ({"population": "wide"}, "allowed: plain or broad"),
        ({"population": "broad", "sky_share": "all"}, "allowed: training or proof"),
        ({"sky": Path("sky")}, r"where: sky\n.*got: sky"),
        ({"quasar_redshifts": (2.0, 1.0)}, r"where: quasar_redshifts\n.*got: 2.0 to 1.0"),
        ({"galaxy_redshifts": (0.1, 2.5)}, r"where: galaxy_redshifts\n.*got: 0.1 to 2.5\n.*0 to 2.0"),
        ({"sky_fraction": 0.7, "broken_fraction": 0.7}, r"where: sky_fraction \+ broken_fraction"),
    ],
)
def test_settings_out_of_range_are_refused_with_the_range(changed: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"(?s){text}.*remedy: Give"):
        SimulationSettings(**({"survey": "desi", "spectra": 10} | changed))


def test_a_directory_with_other_content_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.tex"
    kept.write_text("years of work")
    with pytest.raises(InputError, match="does not write over") as caught:
        simulate_release(SimulationSettings(survey="desi", spectra=2), tmp_path)
    assert "Name another directory" in caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="a file"):
        simulate_release(SimulationSettings(survey="desi", spectra=2), kept)


def test_missing_templates_leave_nothing_behind(tmp_path: Path) -> None:
    settings = SimulationSettings(survey="desi", spectra=2, templates=tmp_path / "nowhere")
    with pytest.raises(InputError, match="RR_TEMPLATE_DIR"):
        simulate_release(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_more_files_than_sky_is_refused_before_work(tmp_path: Path) -> None:
    settings = SimulationSettings(survey="desi", spectra=60_000, spectra_per_file=1)
    with pytest.raises(ConfigurationError, match="more healpix files"):
        simulate_release(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()
