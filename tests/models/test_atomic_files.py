"""A file is under its name as a whole or not at all: whoever fails, is killed or reads meanwhile."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.atomic_files import (
    PARTIAL,
    atomic_directory,
    atomic_file,
    create_durably,
    make_directories,
    write_durably,
)

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "models/atomic_files.py": "writes atomically",
    "engine/export/hats.py": "a directory that appears when it is whole",
    "engine/training/cache.py": "a lock without content",
    "flows/bench/pipeline_release.py": "a directory that a benchmark deletes",
    "flows/bench/plan_tree.py": "a directory that a benchmark deletes",
    "flows/bench/timed_run.py": "a directory that a benchmark deletes",
}
"""Modules that write files in place, and what these are."""


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_new_file_and_a_replaced_one(tmp_path: Path) -> None:
    write_durably(tmp_path / "a", b"first")
    write_durably(tmp_path / "a", b"second")
    with atomic_file(tmp_path / "b") as partial:
        partial.write_text("third")
        assert names(tmp_path) == sorted([partial.name, "a"])
    assert names(tmp_path) == ["a", "b"]
    assert (tmp_path / "a").read_bytes() == b"second"
    assert (tmp_path / "b").read_bytes() == b"third"


def test_a_directory_appears_when_it_is_whole(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "a") as partial:
        (partial / "b").mkdir()
        assert names(tmp_path) == [partial.name]
    assert names(tmp_path / "a") == ["b"]
    with pytest.raises(FileExistsError), atomic_directory(tmp_path / "c") as partial:
        shutil.copytree(tmp_path / "a", partial)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for there in ("a", "link"):
        with pytest.raises(FileExistsError), atomic_directory(tmp_path / there):
            pass
    assert names(tmp_path) == ["a", "link"]


def fail_half_way(path: Path, fault: type[BaseException]) -> None:
    with atomic_file(path) as partial:
        partial.write_bytes(b"ha")
        raise fault


@pytest.mark.parametrize("before", [None, b"whole"])
@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(
    tmp_path: Path, before: bytes | None, fault: type[BaseException]
) -> None:
    path = tmp_path / "a"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(fault):
        fail_half_way(path, fault)
    assert names(tmp_path) == ([] if before is None else ["a"])
    assert before is None or path.read_bytes() == before


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"whole")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (write_durably, create_durably):
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "a", b"new")
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "b", b"new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_a_killed_writer_leaves_a_file_that_nobody_reads(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from models.atomic_files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as partial:\n"
        "    partial.write_bytes(b'ha'); print('written', flush=True); time.sleep(60)"
    )
    (tmp_path / "a").write_bytes(b"whole")
    command = [sys.executable, "-c", script, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    left, kept = names(tmp_path)
    assert kept == "a"
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert left.startswith(".a.")
    assert left.endswith(PARTIAL)


def test_a_reader_sees_whole_contents_only(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = {bytes([number]) * 300_000 for number in range(4)}
    path.write_bytes(next(iter(contents)))
    done = threading.Event()

    def write() -> None:
        for content in [*contents] * 5:
            write_durably(path, content)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not done.is_set() or not seen:
        assert path.read_bytes() in contents
        seen += 1
    writer.join()


def test_of_many_creators_one_succeeds(tmp_path: Path) -> None:
    answers: dict[int, bool] = {}
    start = threading.Barrier(8)

    def create(number: int) -> None:
        start.wait()
        answers[number] = create_durably(tmp_path / "a", b"%d" % number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [number for number, created in answers.items() if created]
    assert (tmp_path / "a").read_bytes() == b"%d" % winner
    assert names(tmp_path) == ["a"]


def test_a_disk_without_hard_links_creates_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert create_durably(tmp_path / "a", b"first")
    assert not create_durably(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


def test_links_are_followed_and_modes_are_kept(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("later")
    write_durably(tmp_path / "link", b"new")
    write_durably(tmp_path / "dangling", b"too")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "later").read_bytes() == b"too"


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_durably(tmp_path / "pipe", b"through")
    reader.join()
    assert read == [b"through"]
    assert names(tmp_path) == ["pipe"]


def test_a_place_that_does_not_exist_or_is_a_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_durably(tmp_path / "none" / "a", b"x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(OSError, match="directory"):
        write_durably(tmp_path / "full", b"x")
    assert names(tmp_path) == ["full"]
    make_directories(tmp_path / "none" / "deep")
    write_durably(tmp_path / "none" / "deep" / "a", b"x")


def in_place(tree: ast.AST) -> list[int]:
    """Lines that write a file outside a block of ``atomic_file``, or of ``output_file``, which uses it."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.With) and any(
            name in ast.unparse(each) for each in node.items for name in ("atomic_file(", "output_file(")
        ):
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            modes = [each.value for each in node.args if isinstance(each, ast.Constant)]
            opens = node.func.attr == "open" and any(str(mode)[:1] in ("w", "x", "a") for mode in modes)
            if opens or node.func.attr in ("write_text", "write_bytes"):
                found.append(node.lineno)
        found += in_place(node)
    return found


def test_no_output_is_written_in_place() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for layer in ("flows", "tasks", "engine", "models", "infra")
        for path in (ROOT / layer).rglob("*.py")
        if in_place(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set(ELSEWHERE)
