"""The command that shows the settings in force."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter


def settings(
    *,
    json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    page: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Show every setting of this machine, its value, and where the value comes from.

    whyspec settings

    Settings are WHYSPEC_* variables or names in whyspec.toml; docs/settings.md says what each means.
    Flags of the commands win over both.

    Parameters
    ----------
    json
        Write the settings as JSON to standard output.
    page
        Write docs/settings.md to standard output, without the values in force.
    """
    import sys

    from rich.table import Table

    from flows.console import messages, notes, show_whole, write_json
    from infra.settings import load_settings, settings_file
    from infra.settings_table import setting_rows, settings_page

    if page:
        sys.stdout.write(settings_page())
        return 0
    rows = setting_rows(load_settings())
    if json:
        write_json([asdict(row) for row in rows])
        return 0
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("setting", "value", "from", "flag"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        origin = {"default": "default", "file": str(settings_file()), "variable": row.variable}[row.origin]
        style = "dim" if row.origin == "default" else ""
        table.add_row(row.name, row.value, origin, row.flag, style=style)
    show_whole(messages(as_json=False), table)
    notes().print("docs/settings.md says what each means.", style="dim")
    return 0
