"""What a match of a store with a table found, in the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from engine.match.summary import ClassMatch, MatchSummary
from flows.console import count, facts, show_whole
from models.interval import Interval

_NO_CLASS = "(no class)"


def show_match(console: Console, url: str, summary: MatchSummary) -> None:
    """Print what was matched, and a line for each class."""
    console.print(facts("Match", list(_facts(url, summary))))
    console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    headings = ("class", "table", "store", "scored", "odd", "recovery", "oddest", "expected", "enriched")
    for name in headings:
        table.add_column(name, justify="left" if name == "class" else "right", no_wrap=True)
    for each in (*summary.classes, summary.everything):
        table.add_row(*_row(each), style="bold" if each is summary.everything else None)
    show_whole(console, table)
    for line in (
        "table, store, scored, odd: objects of the table; in the store; scored; outliers, with their share",
        f"oddest: scored spectra among the {summary.top:,} oddest; expected: among as many drawn from all",
        "enriched: oddest over expected; intervals hold 95 %",
    ):
        console.print(line, style="dim")
    if not summary.matched:
        what = "positions" if summary.radius else f"names in {summary.column}"
        hint = f"Nothing matches. Compare the table's {what} with those of 'whyspec query {url}'."
        console.print(hint, style="yellow", soft_wrap=True)
    if summary.remark:
        console.print(summary.remark, style="yellow", soft_wrap=True)


def _facts(url: str, summary: MatchSummary) -> Iterator[tuple[str, str]]:
    usable = summary.rows - summary.skipped - summary.repeated
    left_out = [
        f"{number:,} {what}"
        for number, what in (
            (summary.skipped, f"without {'a position' if summary.radius else 'a name'}"),
            (summary.repeated, "that repeat an earlier one"),
        )
        if number
    ]
    but = f"; left out: rows {' and '.join(left_out)}" if left_out else ""
    yield "table", f"{summary.table}: {count(usable, 'object')} of {count(summary.rows, 'row')}{but}"
    yield "store", f"{url}: {count(summary.spectra, 'spectrum')}, {summary.scored:,} scored"
    within = f"nearest within {summary.radius:g} arcsec" if summary.radius else f"by {summary.matched_by}"
    yield "matched", f"{within}, columns {summary.column}: {_matched(summary)}"
    if summary.by_chance is not None:
        yield "by chance", f"about {summary.by_chance:,} of them: so many match when the spectra are moved"
    if summary.without_position:
        yield "no position", f"{count(summary.without_position, 'spectrum')} of the store"
    yield "outliers", f"{summary.outliers:,}: {summary.known:,} known, {summary.new:,} new"


def _matched(summary: MatchSummary) -> str:
    text = f"{count(summary.objects, 'object')} with {count(summary.matched, 'spectrum')}"
    if summary.several_spectra:
        text += f"; {summary.several_spectra:,} have several spectra, and all of them count"
    if summary.several_objects:
        text += f"; {count(summary.several_objects, 'spectrum')} had several objects near, the nearest counts"
    return text


def _row(each: ClassMatch) -> tuple[str, ...]:
    return (
        each.name or _NO_CLASS,
        *(f"{number:,}" for number in (each.objects, each.in_store, each.scored, each.outliers)),
        _interval(each.recovery.times(100), "%"),
        f"{each.oddest:,}",
        f"{each.expected:,.1f}",
        _interval(each.enrichment, ""),
    )


def _interval(interval: Interval, unit: str) -> str:
    if math.isnan(interval.value):
        return "–"
    value, low, high = map(_two_digits, (interval.value, interval.low, interval.high))
    return f"{value}{unit} ({low}–{high})"


def _two_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 9.95 else f"{number:.2g}"
