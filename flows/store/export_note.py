"""What an export wrote, for people."""

from __future__ import annotations

from rich.console import Console

from engine.export.exported import Exported
from flows.console import count


def show_export(console: Console, done: Exported) -> None:
    """Print what was written, what was left out and why, and what should be known."""
    files = f" in {count(done.files, 'file')}" if done.files > 1 else ""
    console.print(f"{done.what}: {count(done.spectra, 'spectrum')}{files}: {done.path}", soft_wrap=True)
    for each in done.left_out:
        console.print(f"Left out: {count(each.spectra, 'spectrum')} {each.reason}.", soft_wrap=True)
    for note in done.notes:
        console.print(note, soft_wrap=True)
