"""The benchmark against spender in the terminal."""

from __future__ import annotations

from rich.console import Console

from engine.bench.spender import SpenderBench
from flows.console import duration, facts


def show_spender(console: Console, bench: SpenderBench) -> None:
    """Print what was measured."""
    console.print(
        facts(
            f"spender {bench.spender}: one window at a time, and whyspec's passes",
            [
                ("windows", f"{bench.windows}, quickest of {bench.repeats} runs, {bench.threads} threads"),
                ("spender", f"{1e3 * bench.spender_seconds:.2f} ms a pass"),
                ("whyspec", f"{1e3 * bench.whyspec_seconds:.2f} ms a pass, {bench.ratio:.2f} times quicker"),
                *(
                    (preset, f"≈ {duration(seconds)} a spectrum with 8 baselines")
                    for preset, seconds in bench.explanation_seconds.items()
                ),
                ("differ by", f"{bench.largest_difference:.1e} of the effects' standard deviation"),
            ],
        )
    )
