"""Kinds of errors: each belongs to one class, the documentation lists all of them, and none ever goes."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from models import errors
from models.errors import ErrorKind, WhyspecError

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "errors.md"
CLASSES = {
    name: getattr(errors, name) for name in errors.__all__ if name not in ("ErrorKind", "WhyspecError")
}


def documented() -> list[tuple[str, str, int]]:
    """Kind, class and exit status of every row of the page's tables, in their order."""
    rows, current = [], ("", 0)
    for line in PAGE.read_text(encoding="utf-8").split("\n"):
        if heading := re.match(r"## (\w+Error), exit status (\d+)$", line):
            current = (heading[1], int(heading[2]))
        elif row := re.match(r"\| `([a-z0-9-]+)` \| \S", line):
            rows.append((row[1], *current))
    return rows


def raised() -> dict[str, set[str]]:
    """Kinds by name, with the classes that the code gives them to."""
    found = defaultdict(set)
    for layer in ("flows", "tasks", "engine", "models", "infra"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                    given = next((each.value for each in node.keywords if each.arg == "kind"), None)
                    if given is None:
                        found[CLASSES[node.func.id].default_kind].add(node.func.id)
                    else:
                        assert isinstance(given, ast.Attribute), f"{path}:{node.lineno}: not one kind"
                        found[ErrorKind[given.attr]].add(node.func.id)
    return dict(found)


def test_each_kind_belongs_to_one_class_and_the_page_says_which() -> None:
    page = {kind: name for kind, name, _ in documented()}
    assert {kind: {page[kind]} for kind in raised()} == raised()


def test_the_page_lists_every_kind_in_the_order_of_the_enumeration() -> None:
    assert [kind for kind, _, _ in documented()] == [str(kind) for kind in ErrorKind]


def test_the_page_has_the_exit_status_of_each_class() -> None:
    assert {(name, status) for _, name, status in documented()} == {
        (name, each.exit_code) for name, each in CLASSES.items()
    }


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_kind_is_written_like_its_name(kind: ErrorKind) -> None:
    assert kind.name == kind.value.upper().replace("-", "_")


def test_a_kind_goes_through_json_logs_and_ledgers_as_its_text() -> None:
    error = WhyspecError("No.", kind=ErrorKind.TRUNCATED_FILE)
    assert f"{error.kind}" == error.kind == "truncated-file"
