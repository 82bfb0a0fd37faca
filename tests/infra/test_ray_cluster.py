"""A run's own Ray: which code it runs, where it listens, whom it asks, and what it leaves behind."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from infra import ray_cluster as module
from infra.ray_cluster import ray_cluster
from infra.settings import Settings
from models.errors import ConfigurationError, ErrorKind
from tests.small_run import environment, small_options

WHYSPEC = Path(sys.executable).with_name("whyspec")

TRAPS = ("numpy", "torch", "ray", "zarr", "psutil", "models", "engine", "flows", "infra", "json", "queue")

# Writes down whom the Python processes of a run connect to.
WATCH = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        place = arguments[1] if event == "socket.connect" else arguments[0]
        host = place[0] if isinstance(place, tuple) else place
        if not str(host).startswith("/"):
            with open(os.environ["CONNECTIONS"], "a") as record:
                record.write(f"{host}\\n")

sys.addaudithook(watch)
"""


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A directory with modules that leave a file named ``sprung`` when they are imported."""
    directory = tmp_path / "download"
    (directory / "astropy").mkdir(parents=True)
    for name in (*TRAPS, "astropy/__init__"):
        mark = f"open({str(directory / 'sprung')!r}, 'a').write({name!r})"
        (directory / f"{name}.py").write_text(f"{mark}\nraise ImportError('a trap')\n")
    return directory


@dataclass
class Watched:
    """The processes of a run while it was on: their command lines, and where each name listened."""

    commands: set[str] = field(default_factory=set)
    listened: dict[str, set[str]] = field(default_factory=dict)

    def look(self, process: psutil.Process) -> None:
        """Look at a process and all that it started."""
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error, IndexError):
                command = each.cmdline()
                self.commands.add(" ".join(command))
                name = Path(command[0]).name.partition(".")[0]
                for connection in each.net_connections(kind="tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        self.listened.setdefault(name, set()).add(connection.laddr.ip)


def is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host)
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


@pytest.mark.slow
def test_a_run_works_where_people_work_and_is_heard_by_nobody_else(
    release: Path, model: Path, trapped: Path, tmp_path: Path
) -> None:
    """In a directory of traps, without a home, with a long TMPDIR, warnings as errors and a dead proxy."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    temporary = tmp_path / ("job" + "0" * 60)
    temporary.mkdir()
    connections = tmp_path / "connections"
    connections.touch()
    own = environment(
        HOME="/dev/null/home", TMPDIR=str(temporary), PYTHONWARNINGS="error", CONNECTIONS=str(connections),
        http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9", all_proxy="socks5://127.0.0.1:9",
    )  # fmt: skip
    own["PYTHONPATH"] = os.pathsep.join((str(tmp_path / "watch"), own["PYTHONPATH"]))
    command = [str(WHYSPEC), "run", str(release), *small_options("odd.zarr", model, "ray"), "--workers", "1"]
    watched = Watched()
    with (tmp_path / "shown").open("w") as shown:
        process = subprocess.Popen(command, cwd=trapped, env=own, stdout=shown, stderr=shown)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            watched.look(psutil.Process(process.pid))
        time.sleep(0.5)
    assert process.returncode == 0, (tmp_path / "shown").read_text()
    clustered = subprocess.run(
        [str(WHYSPEC), "cluster", "odd.zarr"],
        cwd=trapped,
        env=own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert clustered.returncode == 0, clustered.stderr
    assert not (trapped / "sprung").exists()
    assert {"gcs_server", "raylet", "ray::RuntimeEnvAgent", "ray::_WorkerActor"} <= set(watched.listened)
    heard = set().union(*watched.listened.values())
    asked = set(connections.read_text().split()) - {"localhost"}
    assert [host for host in (*heard, *asked) if not is_loopback(host)] == []
    directories = set(re.findall(r"=(/tmp/ws-\w+)/session", "\n".join(watched.commands)))
    assert [Path(each).exists() for each in directories] == [False]


def test_without_a_short_directory_ray_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_DIRECTORY", 10)
    with pytest.raises(ConfigurationError) as caught, ray_cluster(Settings()):
        raise AssertionError("Ray started")
    assert caught.value.kind is ErrorKind.RAY_DIRECTORY
    assert "RAY_TMPDIR" in caught.value.remedy


def test_an_object_store_that_does_not_fit_is_refused() -> None:
    settings = Settings(ray_object_store_bytes=10**15)
    with pytest.raises(ConfigurationError) as caught, ray_cluster(settings):
        raise AssertionError("Ray started")
    assert "WHYSPEC_RAY_OBJECT_STORE_BYTES" in caught.value.where
