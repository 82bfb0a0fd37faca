"""A run's own Ray: which code it runs, where it listens, whom it asks, and what it leaves behind."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from infra import ray_cluster as module
from models.errors import ConfigurationError, ErrorKind, RetryError
from tests.small_run import environment, small_options, whyspec

WHYSPEC = Path(sys.executable).with_name("whyspec")

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


@dataclass
class Watched:
    """The processes of a run while it was on.

    Attributes
    ----------
    directories, modes : where their sockets were, and who might open it.
    listened : where those of each name listened.
    asked : whom any was connected to.
    """

    listened: dict[str, set[str]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    directories: set[Path] = field(default_factory=set)
    modes: set[int] = field(default_factory=set)

    def look(self, process: psutil.Process) -> None:
        """Look at a process and all that it started."""
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error, IndexError, FileNotFoundError):
                command = each.cmdline()
                for found in re.findall(r"=(/tmp/ws-\w+)/", " ".join(command)):
                    self.directories.add(Path(found))
                    self.modes.add(stat.S_IMODE(Path(found).stat().st_mode))
                name = Path(command[0]).name.partition(".")[0]
                for connection in each.net_connections(kind="inet"):
                    if connection.raddr:
                        self.asked.add(connection.raddr.ip)
                    else:
                        self.listened.setdefault(name, set()).add(connection.laddr.ip)


def is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in ("localhost", socket.gethostname(), socket.getfqdn())
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


@pytest.mark.slow
def test_a_run_works_where_people_work_and_is_heard_by_nobody_else(
    release: Path, model: Path, trapped: Path, tmp_path: Path
) -> None:
    """In a directory of traps, without a home, with a long TMPDIR, warnings as errors and a proxy."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    temporary = tmp_path / ("job" + "0" * 60)
    temporary.mkdir()
    connections = tmp_path / "connections"
    connections.touch()
    proxy = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    own = environment(
        HOME="/dev/null/home", TMPDIR=str(temporary), PYTHONWARNINGS="error", CONNECTIONS=str(connections),
        http_proxy=address, https_proxy=address, all_proxy=address,
    )  # fmt: skip
    own["PYTHONPATH"] = os.pathsep.join((str(tmp_path / "watch"), own["PYTHONPATH"]))
    command = [str(WHYSPEC), "run", str(release), *small_options("odd.zarr", model, "ray"), "--workers", "1"]
    watched = Watched()
    with (tmp_path / "shown").open("w") as shown:
        process = subprocess.Popen(command, cwd=trapped, env=own, stdout=shown, stderr=shown)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            watched.look(psutil.Process(process.pid))
        time.sleep(0.2)
    assert process.returncode == 0, (tmp_path / "shown").read_text()
    assert not (trapped / "sprung").exists(), (trapped / "sprung").read_text()
    assert {"gcs_server", "raylet", "ray::RuntimeEnvAgent", "ray::_WorkerActor"} <= set(watched.listened)
    heard = set().union(*watched.listened.values())
    asked = watched.asked | set(connections.read_text().split())
    assert [host for host in (*heard, *asked) if not is_loopback(host)] == []
    # Nor was anybody asked by way of the proxy.
    proxy.setblocking(False)
    with proxy, pytest.raises(BlockingIOError):
        proxy.accept()
    assert watched.modes == {0o700}
    assert [directory.exists() for directory in watched.directories] == [False]


@pytest.mark.slow
def test_a_run_after_the_users_own_ray(short: Path) -> None:
    """Ray keeps the token and the address of the first cluster of a process."""
    code = (
        "import ray\n"
        "ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)\n"
        "ray.shutdown()\n"
        "from infra.ray_cluster import ray_cluster\n"
        "from infra.settings import Settings\n"
        "with ray_cluster(Settings(workers=1)):\n"
        "    print(ray.get(ray.remote(lambda: 7).remote()))\n"
    )
    own = environment(HOME=str(short), RAY_TMPDIR=str(short))
    done = subprocess.run(
        [sys.executable, "-c", code], env=own, capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (KeyboardInterrupt(), False),
        (RetryError("The store's disk is full."), False),
        (RetryError("Workers died.", where="Ray", kind=ErrorKind.WORKER_DIED), True),
    ],
)
def test_the_directory_stays_where_ray_failed_and_is_named(
    error: BaseException, stays: bool, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    with pytest.raises(type(error)) as caught, module._directory():
        raise error
    left = [str(path) for path in short.iterdir()]
    assert len(left) == stays
    assert [path for path in left if path not in str(caught.value)] == []


def test_the_first_directory_that_can_be_used_is_rays(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/proc")
    monkeypatch.setenv("TMPDIR", str(short))
    with module._directory() as directory:
        assert directory.parents[1] == short


def test_without_a_short_directory_ray_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_DIRECTORY", 10)
    with pytest.raises(ConfigurationError) as caught, module._directory():
        raise AssertionError("a directory was made")
    assert caught.value.kind is ErrorKind.RAY_DIRECTORY
    assert "RAY_TMPDIR" in caught.value.remedy


def test_an_object_store_that_does_not_fit_is_refused(
    release: Path, model: Path, tmp_path: Path, short: Path
) -> None:
    given = {"RAY_TMPDIR": str(short), "WHYSPEC_RAY_OBJECT_STORE_BYTES": str(10**15)}
    done = whyspec("run", release, *small_options(tmp_path / "odd.zarr", model, "ray"), **given)
    assert done.returncode == 64, done.stderr
    assert "where    WHYSPEC_RAY_OBJECT_STORE_BYTES" in done.stderr
    assert list(short.iterdir()) == []
