"""The explanation half of an evaluation: computed, shown, written."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.evaluation.explained_injections import ExplanationSettings, evaluate_explanations
from engine.evaluation.explanation_figure import explanation_figure
from engine.evaluation.explanation_results import ExplanationResults
from engine.evaluation.explanation_tables import (
    TextTable,
    all_tables,
    cost_table,
    located_table,
    place_width_table,
)
from engine.evaluation.injected_spectra import CleanSpectra
from flows.console import counting, show_whole
from flows.evaluation.output import write_output
from models.spectrum_model import SpectrumModel

RESULTS, TABLES, FIGURE = "explanations.json", "explanations.md", "explanations.png"


def explain_evaluation(
    model: SpectrumModel, clean: CleanSpectra, settings: ExplanationSettings, console: Console
) -> ExplanationResults:
    """Explain injected spectra by every method; progress goes to ``console``.

    Raises
    ------
    BugError : an explanation blames pixels that a blind scorer does not see.
    """
    with counting(console, "explain") as progress:
        return evaluate_explanations(model, clean, settings, progress)


def show_explanations(console: Console, results: ExplanationResults) -> None:
    """Print what is located, and what it costs; the rest is in the files."""
    for table in (located_table(results, detected=False), place_width_table(results), cost_table(results)):
        console.print()
        show_whole(console, rich_table(table))


def rich_table(table: TextTable) -> Table:
    """A table for the terminal."""
    shown = Table(title=table.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for place, head in enumerate(table.heads):
        shown.add_column(head, justify="right" if place else "left", no_wrap=not place)
    for row in table.rows:
        shown.add_row(*row)
    return shown


def save_explanations(results: ExplanationResults, directory: Path) -> tuple[Path, ...]:
    """Write JSON, tables and figure; earlier ones are replaced.

    Raises
    ------
    InputError : they cannot be written.
    """
    text = json.dumps(results.to_dict(), allow_nan=False) + "\n"
    tables = "\n".join(table.markdown() for table in all_tables(results))
    return write_output(directory, {RESULTS: text, TABLES: tables, FIGURE: explanation_figure(results)})
