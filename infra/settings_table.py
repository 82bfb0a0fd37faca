"""Table of the settings: as the page ``docs/settings.md``, and with the values in force."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic.fields import FieldInfo

from infra.settings import Settings, settings_file
from models.secrets import redacted

Origin = Literal["default", "file", "variable"]

_PAGE = """# Settings

Where and with what whyspec runs; nothing here changes a store's values. A flag wins over the variable, the
variable over the file, the file over the default. The file is `whyspec.toml` in the working directory, or
the one that `WHYSPEC_SETTINGS` names; each line is `name = value`. `whyspec settings` shows what is in
force and where it comes from.

This page is made from `infra/settings.py` by `make settings`.

| name | variable | type | default | flag | meaning |
|---|---|---|---|---|---|
"""

_OTHERS = """
Not settings of whyspec, but read where it runs:

| variable | meaning |
|---|---|
| `WHYSPEC_SETTINGS` | path of the settings file |
| `PREFECT_API_URL` | Prefect server that shows runs; without one they run without Prefect |
| `AWS_ACCESS_KEY_ID`, ... | credentials of object stores, read by s3fs; never logged |
| `CUDA_VISIBLE_DEVICES` | GPUs that may be used; empty for none |
| `RR_TEMPLATE_DIR` | redrock templates for `whyspec simulate` |
"""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as the table shows it.

    Attributes
    ----------
    name, variable, kind, default, flag, meaning : as documented; ``flag`` is empty where there is none.
    value : in force.
    origin : where the value comes from.
    """

    name: str
    variable: str
    kind: str
    default: str
    flag: str
    meaning: str
    value: str
    origin: Origin


def setting_rows(settings: Settings) -> tuple[SettingRow, ...]:
    """Every setting, in the order of the model, with its value in ``settings``."""
    in_file = _names_in_file()
    variables = {name.upper() for name in os.environ}
    rows = []
    for name, field in Settings.model_fields.items():
        variable = f"WHYSPEC_{name.upper()}"
        origin: Origin = "default"
        if name in in_file:
            origin = "file"
        if variable in variables:
            origin = "variable"
        rows.append(
            SettingRow(
                name,
                variable,
                _kind(field),
                _shown(field.default),
                _flag(field),
                field.description or "",
                _shown(getattr(settings, name)),
                origin,
            )
        )
    return tuple(rows)


def settings_page() -> str:
    """Text of ``docs/settings.md``; it does not depend on the settings in force."""
    lines = []
    for row in setting_rows(Settings.model_construct()):
        names = (f"`{row.name}`", f"`{row.variable}`", row.kind, _code(row.default), _code(row.flag))
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in (*names, row.meaning)) + "|\n")
    return _PAGE + "".join(lines) + _OTHERS


def _names_in_file() -> frozenset[str]:
    file = settings_file()
    if not file.is_file():
        return frozenset()
    return frozenset(tomllib.loads(file.read_text(encoding="utf-8")))


def _kind(field: FieldInfo) -> str:
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return " or ".join(choices)
    kind: Any = choices[0] if choices else field.annotation
    least = next((getattr(part, "ge", None) for part in field.metadata if hasattr(part, "ge")), None)
    names = {"int": "integer", "float": "number", "str": "text", "bool": "true or false", "Path": "path"}
    name = names[kind.__name__]
    return name if not least else f"{name}, at least {least:,}"


def _flag(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["flag"]) if isinstance(extra, dict) else ""


def _shown(value: object) -> str:
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return redacted(text)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
