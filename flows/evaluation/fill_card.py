"""Fill a model's card from its evaluation: ``python -m flows.evaluation.fill_card MODEL RESULTS``."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App
from rich.console import Console

from flows.evaluation.evaluate import fill_card, load_results

app = App(help=__doc__)


@app.default
def main(model: str, results: Path) -> None:
    """Put the figures of RESULTS, which ``whyspec evaluate`` wrote, into the card of MODEL.

    The model gets a new digest: do this when a model is made, before stores are made with it.
    """
    card = fill_card(model, load_results(results))
    Console(stderr=True).print(f"{card.name}: {card.digest}, {len(card.metrics)} metrics")


if __name__ == "__main__":
    app()
