"""Settings of the machine: where and with what whyspec runs. None of them changes a store's values.

They are read from ``WHYSPEC_*`` environment variables, then from a TOML file: the one that
``WHYSPEC_SETTINGS`` names, else ``whyspec.toml`` in the working directory.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from models.errors import ConfigurationError, ErrorKind


class Settings(BaseSettings):
    """The settings; each field's description is its line in ``docs/settings.md``."""

    model_config = SettingsConfigDict(
        env_prefix="WHYSPEC_", env_ignore_empty=True, extra="forbid", frozen=True
    )

    workers: int = Field(
        default=0,
        ge=0,
        description="processes that score; 0: one per GPU, or per threads_per_worker CPUs",
        json_schema_extra={"flag": "run --workers"},
    )
    threads_per_worker: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="torch threads of each of them",
        json_schema_extra={"flag": "run --threads-per-worker"},
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="torch threads of train, evaluate, import-spender and bench occlusion, 0: one per CPU; "
        "of explain, 0: one",
        json_schema_extra={"flag": "explain, train, evaluate, import-spender --threads"},
    )
    memory_per_worker: int = Field(
        default=0, ge=0, description="bytes a worker may need; 0: what is free here, shared out"
    )
    attribution_memory: int = Field(
        default=0,
        ge=0,
        description="bytes for the attribution of one spectrum; 0: what suits the device",
        json_schema_extra={"flag": "run, explain, attribute --memory"},
    )
    ready_seconds: float = Field(
        default=300.0, gt=0, description="time for the workers to get ready, and for a cluster to grow"
    )
    ray_address: str = Field(
        default="", description="Ray cluster to join, `auto` for this machine's; empty: one of whyspec's own"
    )
    ray_cpus: int = Field(
        default=0, ge=0, description="CPUs that the joined cluster can grow to; 0: it does not grow"
    )
    ray_gpus: int = Field(
        default=0, ge=0, description="GPUs that the joined cluster can grow to; 0: it does not grow"
    )
    ray_object_store_bytes: int = Field(
        default=256 * 2**20,
        ge=80 * 2**20,
        description="object store of a Ray of whyspec's own; only receipts pass through it",
    )
    dask_address: str = Field(default="", description="Dask scheduler to join; empty: threads here")
    dask_workers: int = Field(default=0, ge=0, description="threads of the clustering; 0: one per CPU")
    log_level: str = Field(
        default="WARNING", description="least level that is logged to standard error: DEBUG to CRITICAL"
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="text for people, json for programs: one object a line"
    )
    log_file: Path | None = Field(
        default=None, description="file to log to as well; each Ray worker writes one beside it"
    )
    log_file_level: str = Field(default="INFO", description="least level that is logged to the file")
    traceback: bool = Field(
        default=False,
        description="show tracebacks of whyspec's own errors",
        json_schema_extra={"flag": "--traceback"},
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=settings_file())


def settings_file() -> Path:
    """The TOML file that is read. It may be missing unless ``WHYSPEC_SETTINGS`` names it."""
    return Path(os.environ.get("WHYSPEC_SETTINGS", "whyspec.toml"))


def load_settings(**given: object) -> Settings:
    """The settings in force; ``given`` overrides environment and file.

    Raises
    ------
    ConfigurationError : a value does not fit, or the named file does not exist.
    """
    file = settings_file()
    if "WHYSPEC_SETTINGS" in os.environ and not file.is_file():
        raise ConfigurationError(
            "The settings file does not exist.",
            where="WHYSPEC_SETTINGS",
            got=file,
            allowed="path of a TOML file",
            remedy="Correct the path or unset the variable.",
            kind=ErrorKind.SETTINGS_FILE,
        )
    try:
        return Settings(**given)  # type: ignore[arg-type]  # checked by pydantic, reported below
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        known = ", ".join(Settings.model_fields)
        raise ConfigurationError(
            f"The setting {name} does not fit: {first['msg'].lower()}.",
            where=f"WHYSPEC_{name.upper()} or {file}",
            got=first.get("input", ""),
            allowed=known if first["type"] == "extra_forbidden" else "",
            remedy="Correct it in the environment or in the file.",
            kind=ErrorKind.SETTINGS,
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            "The settings file is not valid TOML.",
            where=str(file),
            got=error,
            remedy="Correct the file; each line is name = value.",
            kind=ErrorKind.SETTINGS_FILE,
        ) from error


def own_threads(settings: Settings) -> int:
    """Torch threads of commands that compute in this process."""
    return settings.threads or cpu_count()


def cpu_count() -> int:
    """CPUs that this process may use: in a container or under taskset fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(settings: Settings, cpus: int, gpus: int = 0) -> int:
    """Processes of a pool: those asked for, else one per GPU, else one per so many CPUs as it has threads."""
    return settings.workers or gpus or max(1, cpus // settings.threads_per_worker)


def available_memory() -> int:
    """Bytes that are free without swapping; all of the machine's where the system does not say."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
