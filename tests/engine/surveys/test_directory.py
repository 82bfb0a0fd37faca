"""Walks through directories: links, circles, depth; what could not be looked into is named."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.surveys.directory import DEEPEST, FilesBelow, files_below
from engine.surveys.listing import list_release
from tests.engine.surveys.trees import Production, touch
from tests.servers.http_ranges import RangeServer


def below(root: Path, found: FilesBelow) -> list[str]:
    return [url.removeprefix(f"{root}/") for url in found.urls]


def test_linked_directories_are_followed_and_each_is_listed_once(tmp_path: Path) -> None:
    root, disk = tmp_path / "release", tmp_path / "disk"
    touch(root, "b/one.fits")
    touch(disk, "two.fits", "deeper/three.fits")
    (root / "a").symlink_to("b")  # by its own path, though the link comes first
    (root / "c").symlink_to(disk)
    (root / "d").symlink_to(disk)
    (disk / "here").symlink_to(disk)
    (root / "b" / "back").symlink_to(root)
    (root / "b" / "above").symlink_to(tmp_path)
    (root / "b" / "everything").symlink_to("/")
    found = files_below(str(root))
    assert below(root, found) == ["b/one.fits", "c/deeper/three.fits", "c/two.fits"]
    assert found.unseen == ()


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a/one.fits")
    (tmp_path / "a" / "100").symlink_to("unmounted")
    (tmp_path / "a" / "itself").symlink_to("itself")
    (tmp_path / "a" / ".lock").symlink_to("user@host")
    (tmp_path / "a" / "two.fits").symlink_to("unmounted")  # a file like any other that cannot be read
    found = files_below(str(tmp_path))
    assert below(tmp_path, found) == ["a/one.fits", "a/two.fits"]
    assert [(Path(file.url).name, file.kind) for file in found.unseen] == [
        ("100", "missing-file"),
        ("itself", "missing-file"),
    ]
    assert "leads nowhere" in found.unseen[0].reason
    assert "a link to unmounted" in found.unseen[0].reason


def test_a_pixel_moved_behind_a_link_stays_in_the_release(tmp_path: Path) -> None:
    production = Production(tmp_path / "iron")
    pixels = [production.add("main", "dark", pixel).parent for pixel in (100, 101)]
    before = list_release([str(tmp_path / "iron")])
    shutil.move(pixels[0], tmp_path / "other")
    pixels[0].symlink_to(tmp_path / "other")
    assert len(before.files) == 2
    assert list_release([str(tmp_path / "iron")]) == before
    pixels[0].unlink()
    pixels[0].symlink_to("unmounted")
    after = list_release([str(tmp_path / "iron")])
    assert after.files == before.files[1:]
    assert [(file.url, file.kind) for file in after.refused] == [(str(pixels[0]), "missing-file")]


def test_a_tree_on_a_disk_has_no_bottom(tmp_path: Path) -> None:
    deep = "/".join(str(level) for level in range(40))
    touch(tmp_path, "one.fits", f"{deep}/two.fits")
    assert below(tmp_path, files_below(str(tmp_path))) == [f"{deep}/two.fits", "one.fits"]


def test_directories_too_deep_on_a_server_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "release/one.fits")
    (tmp_path / "release" / "again").symlink_to(".")  # a server does not say that it is a link
    with RangeServer(tmp_path) as server:
        found = files_below(f"{server.url}/release")
        assert len(found.urls) == DEEPEST + 1
        (unseen,) = found.unseen
        assert unseen.url == f"{server.url}/release" + "/again" * (DEEPEST + 1)
        assert unseen.kind == "too-deep"
        assert f"more than {DEEPEST} directories below {server.url}/release" in unseen.reason
