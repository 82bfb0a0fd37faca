"""What the command line prints around its results."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from flows.console import facts, messages, report_name, show_error, show_next
from models.errors import ErrorKind, InputError


def test_the_next_commands_can_be_pasted_into_a_shell() -> None:
    stream = io.StringIO()
    show_next(
        Console(file=stream, width=20), ("cluster", "my odd.zarr"), ("report", "s.zarr", "-o", "s.html")
    )
    assert stream.getvalue().splitlines() == [
        "",
        "Next: whyspec cluster 'my odd.zarr'",
        "      whyspec report s.zarr -o s.html",
    ]


def test_names_are_no_markup_and_pipes_get_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    name = "[bold]a[/b] :warning: " + 40 * "long "
    messages(as_json=False).print(facts(name, [("name", name)]))
    shown = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in shown] == [name.strip(), f"name  {name.strip()}"]


def test_an_error_in_a_pipe_has_no_box(capsys: pytest.CaptureFixture[str]) -> None:
    where = "/data/" + 40 * "long/"
    show_error(InputError("No [/b].", where=where, remedy="Look.\nAgain.", kind=ErrorKind.MISSING_PATH))
    assert capsys.readouterr().err.splitlines() == [
        "missing-path (exit status 66)",
        "No [/b].",
        f"where    {where}",
        "remedy   Look.",
        "Again.",
    ]


def test_reports_of_two_explanations_have_two_names() -> None:
    assert report_name("s3://bucket/odd.zarr") == "odd.html"
    assert report_name("odd.zarr", "lime") == "odd-lime.html"
