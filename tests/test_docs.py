"""Pages, manifests and build files: every module, file, link, command and setting that they name exists."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import sys
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cyclopts import App, CycloptsError

import whyspec
from flows.command_line import app, run_command
from infra.settings import Settings
from tests.small_run import REPOSITORY
from tests.synthetic_store import synthetic_store

PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CHANGELOG.md", "infra/README.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
DOCS = REPOSITORY / "docs"
BUILD_FILES = [
    REPOSITORY / name
    for name in (
        "Makefile",
        "pyproject.toml",
        ".dockerignore",
        "infra/prefect.yaml",
        "infra/container/Dockerfile",
        "infra/slurm/whyspec.sbatch",
        "infra/kubernetes/raycluster.yaml",
        "infra/kubernetes/rayjob.yaml",
    )
]
LAYERS = "flows|tasks|engine|models|infra|tests"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
MODULE = re.compile(rf"(?<![\w./-])((?:{LAYERS})(?:\.[A-Za-z_]\w*)+)(:\w+)?(?![\w/])")
RUN_MODULE = re.compile(r"python3? -m\s+([\w.]+)")
FILE = re.compile(rf"(?<![\w./-])((?:{LAYERS}|docs)/[\w.*/-]*[\w*/])")
VARIABLE = re.compile(r"\bWHYSPEC_[A-Z][A-Z_]*\b")

OWN_VARIABLES = {
    "WHYSPEC_SETTINGS",  # where the settings file is
    "WHYSPEC_TEST_DATA",  # where tests look for real spectra
}

# Words of earlier versions and what to write instead. Of code only docstrings are searched.
RETIRED = {
    r"told by": "say who says it",
    r"told of": "events, on_event",
    r"foresees?|foreseen|foresight": "prefetch, predict",
    r"patiently": "with retries",
    r"planted|plants?": "injected, inject",
    r"set aside|sets aside": "quarantined",
    r"passed over": "skipped",
    r"verdicts?": "readout",
    r"usual misfit": "residual factors",
    r"sealed": "checksummed",
    r"strays?": "orphans",
    r"hopeless": "unrepairable",
    r"mends?|mended": "repair",
    r"fresh spectra": "held-out spectra",
    r"whole passe?s?": "full passes",
    r"rival maps?": "the method's name",
    r"real proof": "labelled spectra",
    r"giv(?:es|en) up": "fails",
    r"graves?": "the thing's name",
    r"stretch(?:es)?": "interval, segment",
    r"listeners?": "observer",
    r"an? accounts? of": "summary",
    r"in the account|run's account": "summary",
    r"seats?|welcomes?": "joins",
    r"a (?=injected|injection|orphan|outlier|observer)": "an",
    r"(?:one|the|a) skips? (?:over|the|b|x)": "a pass over",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def retired_words(prose: str) -> set[tuple[str, str]]:
    """Words of earlier versions, each with what to write instead."""
    return {
        (match[0], instead)
        for word, instead in RETIRED.items()
        for match in re.finditer(rf"\b(?:{word})\b", prose, re.IGNORECASE)
    }


def prose_of(path: Path) -> str:
    """A page without code, in one line per paragraph, so that words are found across line ends."""
    text = CODE_SPAN.sub("", LINK.sub("]", FENCE.sub("", text_of(path))))
    return re.sub(r"[ \t]*\n(?!\n)[ \t]*", " ", text)


@cache
def resolve(name: str) -> object:
    """What a dotted name names; ImportError or AttributeError if there is none."""
    parts = name.split(".")
    length = max(length for length in range(1, len(parts) + 1) if _is_module(parts[:length]))
    found: object = importlib.import_module(".".join(parts[:length]))
    for attribute in parts[length:]:
        found = getattr(found, attribute)
    return found


def _is_module(parts: list[str]) -> bool:
    path = REPOSITORY.joinpath(*parts)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("path", PAGES + BUILD_FILES, ids=name_of)
def test_every_module_that_is_named_imports_and_has_the_attribute(path: Path) -> None:
    missing = []
    for name, attribute in MODULE.findall(text_of(path)):
        try:
            resolve(name + attribute.replace(":", "."))
        except (ImportError, AttributeError):
            missing.append(name + attribute)
    assert missing == []


@pytest.mark.parametrize("path", PAGES + BUILD_FILES, ids=name_of)
def test_every_module_that_is_run_can_be_run(path: Path) -> None:
    for name in RUN_MODULE.findall(text_of(path)):
        found = importlib.util.find_spec(name)
        assert found is not None, name
        if re.match(LAYERS, name):
            assert found.origin is not None
            assert '__name__ == "__main__"' in text_of(Path(found.origin)), name


@pytest.mark.parametrize("path", PAGES + BUILD_FILES, ids=name_of)
def test_every_file_that_is_named_exists(path: Path) -> None:
    named = [name.rstrip("/") for name in FILE.findall(text_of(path))]
    assert [name for name in named if not any(REPOSITORY.glob(name))] == []


def test_docs_that_code_names_exist() -> None:
    named = {
        name
        for layer in LAYERS.split("|")
        for path in (REPOSITORY / layer).rglob("*.py")
        for name in re.findall(r"docs/[\w/-]+\.md", text_of(path))
    }
    assert named
    assert sorted(name for name in named if not (REPOSITORY / name).is_file()) == []


def test_package_data_exists() -> None:
    data = tomllib.loads(text_of(REPOSITORY / "pyproject.toml"))["tool"]["setuptools"]["package-data"]
    patterns = [f"{package}/{pattern}" for package, found in data.items() for pattern in found]
    assert [pattern for pattern in patterns if not any(REPOSITORY.glob(pattern))] == []


@cache
def anchors_of(path: Path) -> frozenset[str]:
    """The anchors that GitHub gives to a page's headings."""
    slugs: Counter[str] = Counter()
    anchors = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(path)), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        anchors.add(f"{slug}-{slugs[slug]}" if slugs[slug] else slug)
        slugs[slug] += 1
    return frozenset(anchors)


def links_of(path: Path) -> list[tuple[Path, str]]:
    """Relative links and pictures of a page: the file each leads to, and its anchor."""
    links = []
    for target in LINK.findall(FENCE.sub("", text_of(path))):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            links.append(((path.parent / file).resolve() if file else path, anchor))
    return links


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target, anchor in links_of(path):
        assert target.exists(), target
        assert not anchor or anchor in anchors_of(target), f"{target}#{anchor}"


def test_every_page_and_picture_is_reached_from_the_readme() -> None:
    reached, open_pages = set(), [REPOSITORY / "README.md"]
    while open_pages:
        for target, _ in links_of(open_pages.pop()):
            found = sorted(target.glob("*.md")) if target.is_dir() else [target]
            open_pages += [page for page in found if page.suffix == ".md" and page not in reached]
            reached.update(found)
    everything = {path for path in (REPOSITORY / "docs").rglob("*") if path.is_file()}
    assert sorted(everything - reached) == []


def options_of(group: App, name: str = "") -> dict[str, set[str]]:
    """Every command of the command line, ``bench read`` for one, with its options."""
    found: dict[str, set[str]] = {}
    for part in (part for part in group if not part.startswith("-")):
        command, whole = group[part], f"{name} {part}".strip()
        found |= options_of(command, whole)
        if command.default_command is not None:
            found[whole] = {
                option for each in command.assemble_argument_collection() for option in each.names
            }
    return found


OPTIONS = options_of(app)
EVERYWHERE = {"--help", "--version", "--traceback"}
OF_SLURM = {"--nodes", "--cpus-per-task", "--gpus-per-node"}
COMMAND = re.compile(rf"\bwhyspec ((?:{'|'.join(sorted(OPTIONS, reverse=True))})\b)(.*)")


def test_the_floors_that_are_drawn_are_those_that_are_held() -> None:
    contracts = tomllib.loads(text_of(REPOSITORY / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    held = {each["containers"][0]: each["layers"] for each in contracts if "containers" in each}
    drawn = {}
    for _, code in FENCE.findall(text_of(REPOSITORY / "docs" / "architecture.md")):
        layer, *floors = code.rstrip().split("\n")
        drawn[layer] = [floor.strip() for floor in floors]
    assert held
    assert {layer: drawn[layer] for layer in held} == held


def lines_of(code: str) -> list[str]:
    """The lines of a shell script, continued ones joined, comments kept."""
    return re.sub(r"\\\n\s*", " ", code).split("\n")


def spans_of(path: Path) -> list[str]:
    """What a page writes as code within its sentences."""
    spans = CODE_SPAN.findall(FENCE.sub("", text_of(path)))
    return [re.sub(r"\s+", " ", span) for span in spans]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_in_a_block_parses(path: Path) -> None:
    blocks = [code for language, code in FENCE.findall(text_of(path)) if not language]
    lines = [line for code in blocks for line in lines_of(code) if line.startswith("whyspec ")]
    for line in lines:
        try:
            app.parse_args(shlex.split(line, comments=True)[1:], exit_on_error=False, print_error=False)
        except CycloptsError as error:
            pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize("path", PAGES + BUILD_FILES, ids=name_of)
def test_every_command_in_a_sentence_or_script_has_these_options(path: Path) -> None:
    lines = spans_of(path) if path.suffix == ".md" else lines_of(text_of(path))
    for command, rest in (found for line in lines for found in COMMAND.findall(line)):
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= OPTIONS[command] | EVERYWHERE, f"{command}{rest}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_and_option_named_in_a_sentence_exists(path: Path) -> None:
    known = set().union(*OPTIONS.values()) | EVERYWHERE | OF_SLURM
    for span in spans_of(path):
        if span.startswith("whyspec "):
            assert COMMAND.match(span) or span in (
                "whyspec bench",
                "whyspec COMMAND --help",
                "whyspec --help",
            ), span
        if span.startswith("--"):
            assert re.split(r"[ =]", span)[0] in known, span


@pytest.mark.parametrize("path", PAGES + BUILD_FILES, ids=name_of)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    known = {f"WHYSPEC_{name.upper()}" for name in Settings.model_fields} | OWN_VARIABLES
    assert set(VARIABLE.findall(text_of(path))) <= known


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_use_the_words_of_today(path: Path) -> None:
    assert retired_words(prose_of(path)) == set()


@pytest.mark.parametrize("layer", ["flows", "tasks", "engine", "models", "infra"])
def test_docstrings_use_the_words_of_today(layer: str) -> None:
    found = {}
    for path in sorted((REPOSITORY / layer).rglob("*.py")):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        nodes = [node for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, documented)]
        prose = " ".join((ast.get_docstring(node) or "").replace("``", "`") for node in nodes)
        if words := retired_words(" ".join(CODE_SPAN.sub("", prose).split())):
            found[name_of(path)] = words
    assert found == {}


@pytest.mark.parametrize("page", ["guide.md", "python.md", "match.md", "export.md"])
def test_python_on_the_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()
    synthetic_store(tmp_path / "demo" / "odd.zarr")
    pixels = np.arange(3650.0, 9800.0, 1.1)
    table = {"wavelength": pixels, "flux": 5 + np.sin(pixels / 300), "error": np.full_like(pixels, 0.5)}
    pd.DataFrame(table).to_csv(tmp_path / "mine.csv", index=False)
    monkeypatch.chdir(tmp_path)
    fences = FENCE.findall(text_of(DOCS / page))
    blocks = [code for language, code in fences if language == "python"]
    assert blocks
    for line in (line for language, code in fences if not language for line in lines_of(code)):
        if line.startswith("whyspec export demo/"):
            assert run_command(shlex.split(line)[1:]) == 0
    threads, names = torch.get_num_threads(), {}
    torch.set_num_threads(1)  # several threads wait for each other where others use the cores
    try:
        for code in blocks:
            exec(compile(code, f"docs/{page}", "exec"), names)  # noqa: S102 - our own page
    finally:
        torch.set_num_threads(threads)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


def test_a_newcomer_needs_fifteen_lines() -> None:
    code = FENCE.findall(text_of(DOCS / "python.md"))[0][1]
    assert "mine.csv" in code
    assert "plot(" in code
    assert len(code.strip().split("\n")) <= 15


def test_the_page_on_python_names_what_is_public() -> None:
    page = text_of(DOCS / "python.md")
    assert [name for name in whyspec.__all__ if name not in page] == []
