"""What an update of a store's catalogue did, for people."""

from __future__ import annotations

from rich.console import Console

from engine.catalogue.building import CatalogueUpdate
from flows.console import count, facts


def show_catalogue(console: Console, url: str, done: CatalogueUpdate) -> None:
    """Print what the catalogue holds, and what was written."""
    made = f" (all of it anew: {done.anew})" if done.anew else ""
    console.print(
        facts(
            "Catalogue",
            [
                ("store", url),
                (
                    "holds",
                    f"{count(done.rows, 'row')} in {count(done.parts, 'part')}, {done.bytes / 1e6:,.1f} MB",
                ),
                ("written", f"{count(done.written, 'row')}{made}"),
            ],
        )
    )
