"""Report as a browser shows it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from engine.clustering.pipeline import cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.report.page import write_report
from tests.synthetic_store import synthetic_store

_PROBE = """
<script>
window.addEventListener("load", () => {
  const table = document.querySelector("table[data-sortable]");
  const rows = table.tBodies[0].rows;
  const column = (index) => Array.from(rows, (row) => Number(row.cells[index].dataset.value));
  table.tHead.rows[0].cells[3].querySelector("button").click();
  const falling = column(3);
  table.tHead.rows[0].cells[3].querySelector("button").click();
  const rising = column(3);
  const input = document.getElementById("filter");
  input.value = "QSO";
  input.dispatchEvent(new Event("input"));
  const shown = Array.from(rows).filter((row) => !row.hidden);
  const broken = Array.from(document.images).filter((image) => !image.naturalWidth);
  document.title = JSON.stringify({
    falling: falling.every((value, i) => i === 0 || value <= falling[i - 1]),
    rising: rising.every((value, i) => i === 0 || value >= rising[i - 1]),
    rows: rising.length,
    quasars: shown.length > 0 && shown.every((row) => row.textContent.includes("QSO")),
    told: document.getElementById("count").textContent,
    broken: broken.length,
    wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
  });
});
</script>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium here to open the report in (apt-get install chromium)")
    return found


@pytest.mark.slow
def test_the_report_works_in_a_browser(browser: str, tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", spectra=60)
    cluster_store(store.url, ClusteringSettings(resamples=2, maximum=3))
    write_report(store.url, tmp_path / "odd.html", top=1)
    page = (tmp_path / "odd.html").read_text(encoding="utf-8").replace('loading="lazy"', "")
    (tmp_path / "probe.html").write_text(page.replace("</body>", f"{_PROBE}</body>"), encoding="utf-8")
    found = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-sync",
            "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1400,1000",
            "--virtual-time-budget=10000",
            "--dump-dom",
            (tmp_path / "probe.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = found.stdout.partition("<title>")[2].partition("</title>")[0].replace("&quot;", '"')
    assert '"falling":true,"rising":true,"rows":15,"quasars":true' in title
    assert '"told":"5 of 15 shown","broken":0,"wide":false' in title
