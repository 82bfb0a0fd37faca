"""Lists for viewers: what the survey's own programs read of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.query.query import QuerySettings, answer
from engine.query.viewer_list import write_viewer_list
from engine.store.reading import StoreView
from engine.surveys.desi.viewer_list import viewer_list as desi_list
from engine.surveys.sdss.viewer_list import viewer_list as sdss_list
from engine.surveys.viewer_list import ListedSpectrum
from models.errors import ConfigurationError
from tests.synthetic_store import FIRST_TARGET, synthetic_store

BIG = 39_627_835_576_420_141


def desi(target_id: int, exposures: str, pixel: int = 10000) -> ListedSpectrum:
    return ListedSpectrum(f"iron/main/dark/{pixel}/{target_id}", target_id, -1, -1, -1, exposures)


@pytest.mark.filterwarnings("ignore:Input line:UserWarning")
def test_prospect_reads_targets_and_finds_their_files(tmp_path: Path) -> None:
    spectra = [
        desi(BIG + 1, "1000/20210623/88000/1501/3 1001/20210624/88001/12/0"),
        desi(BIG, "1000/20210623/88000/20/0 1/2 \x1b 7/-1/-1/-1/-1", 999),
        desi(BIG, "1000/20210623/88000/20/0", 999),
        desi(-1, "", 999),
    ]
    text = desi_list(spectra)
    assert text.splitlines() == [
        "# prospect_pages --target_list FILE reads the TARGETIDs below",
        "# --dirtree_type healpix --survey_program main dark --pixels 999 10000",
        "# --dirtree_type cumulative --tiles 1000 1001",
        "# tile 1000 night 20210623 fibers 20 1501",
        "# tile 1001 night 20210624 fibers 12",
        "# without TARGETID: iron/main/dark/999/-1",
        str(BIG + 1),
        str(BIG),
    ]
    (tmp_path / "odd.lst").write_text(text)
    # As prospect_pages reads it.
    read = np.array(np.loadtxt(tmp_path / "odd.lst", dtype=str, comments="#"), dtype="int64")
    assert read.tolist() == [BIG + 1, BIG]


def test_sdss_is_listed_by_plate_mjd_and_fibre() -> None:
    spectra = [
        ListedSpectrum("v5_13_0/4055-55359-596", 1, 4055, 55359, 596, ""),
        ListedSpectrum("26/266-51630-12", 2, 266, 51630, 12, ""),
        ListedSpectrum("v6_1_3/15000-59146-123", 3, 15000, 59146, -1, ""),
    ]
    assert sdss_list(spectra).splitlines() == [
        "# plate mjd fiberid",
        "266 51630 12",
        "4055 55359 596",
        "# without plate, MJD and fibre: v6_1_3/15000-59146-123",
    ]


def test_a_query_is_listed_and_what_the_store_lacks_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    view = StoreView.open(synthetic_store(tmp_path / "odd.zarr").url)
    asked = QuerySettings(target_ids=(FIRST_TARGET + 3, 17))
    assert write_viewer_list(view, asked, None) == 1
    keys = answer(view, asked)["key"]
    assert capsys.readouterr().out.splitlines() == [keys[0], "# not in the store: 17"]
    assert write_viewer_list(view, QuerySettings(top=3), tmp_path / "odd.lst") == 3
    assert (tmp_path / "odd.lst").read_text().split() == answer(view, QuerySettings(top=3))["key"].tolist()
    with pytest.raises(ConfigurationError, match="no columns to choose"):
        write_viewer_list(view, QuerySettings(columns=("ra",)), None)
