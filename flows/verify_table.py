"""What a verification found, in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from engine.store.verify import VerifyReport
from flows.console import count, facts

_LONGEST_LIST = 30


def show_verification(console: Console, found: VerifyReport) -> None:
    """Print what was read and what is wrong."""
    console.print(
        facts(
            "Verification",
            [
                ("store", found.url),
                ("blocks", f"{found.score_blocks:,} scored, {found.attribution_blocks:,} explained"),
                ("read", f"{count(found.objects, 'object')}, {found.bytes / 1e6:,.1f} MB"),
            ],
        )
    )
    if found.leftovers:
        console.print(f"{count(len(found.leftovers), 'temporary file')} of a killed run: harmless.")
    if found.ok:
        console.print("Everything is as the ledger says.", style="bold green")
        return
    table = Table(
        title=f"{count(len(found.faults), 'fault')}", title_style="bold red", title_justify="left", box=None
    )
    for name in ("kind", "where", "what", "remedy"):
        table.add_column(name, overflow="fold")
    for fault in found.faults[:_LONGEST_LIST]:
        table.add_row(fault.kind, fault.where, fault.what, fault.remedy)
    console.print(table)
    if len(found.faults) > _LONGEST_LIST:
        console.print(f"... and {len(found.faults) - _LONGEST_LIST} more: use --json for all of them.")
