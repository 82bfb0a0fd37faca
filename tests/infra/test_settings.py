"""Settings: arguments before environment before file, and texts that say where a bad one came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.ray_cluster import resources_for
from infra.settings import Settings, available_memory, cpu_count, load_settings
from models.errors import ConfigurationError


def test_arguments_win_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("workers = 3\nthreads_per_worker = 2\ndask_workers = 5\n")
    monkeypatch.setenv("WHYSPEC_SETTINGS", str(file))
    monkeypatch.setenv("WHYSPEC_THREADS_PER_WORKER", "4")
    monkeypatch.setenv("WHYSPEC_DASK_WORKERS", "6")
    settings = load_settings(dask_workers=7)
    assert (settings.workers, settings.threads_per_worker, settings.dask_workers) == (3, 4, 7)


def test_the_file_of_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHYSPEC_SETTINGS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert load_settings().workers == 0
    (tmp_path / "whyspec.toml").write_text("workers = 3\n")
    assert load_settings().workers == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("workers = -1", "The setting workers does not fit"),
        ("wrkers = 1", "The setting wrkers does not fit"),
        ("workers = = 1", "not valid TOML"),
    ],
)
def test_a_bad_file_is_named(
    content: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(content)
    monkeypatch.setenv("WHYSPEC_SETTINGS", str(file))
    with pytest.raises(ConfigurationError, match=text) as caught:
        load_settings()
    assert str(file) in caught.value.where


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYSPEC_READY_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="ready_seconds") as caught:
        load_settings()
    assert "WHYSPEC_READY_SECONDS" in caught.value.where
    assert caught.value.got == "soon"


def test_a_named_file_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHYSPEC_SETTINGS", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigurationError, match="settings file does not exist"):
        load_settings()


def test_workers_come_from_gpus_then_cpus() -> None:
    assert resources_for(8, 0, Settings()).workers == 8
    assert resources_for(8, 0, Settings(threads_per_worker=3)).workers == 2
    assert resources_for(1, 0, Settings(threads_per_worker=4)).workers == 1
    assert resources_for(32, 2, Settings()).workers == 2
    assert resources_for(8, 0, Settings(workers=3)).workers == 3


def test_more_workers_than_the_cluster_has_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="fewer CPUs than workers") as caught:
        resources_for(4, 0, Settings(workers=5))
    assert (caught.value.got, caught.value.allowed) == ("5 workers", "at most 4")
    with pytest.raises(ConfigurationError, match="fewer GPUs than workers"):
        resources_for(4, 1, Settings(workers=2))


def test_the_machine_is_looked_at() -> None:
    assert cpu_count() >= 1
    assert available_memory() > 2**26
