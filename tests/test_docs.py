"""Pages, manifests and build files: every module, file, link, command and setting that they name exists."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from cyclopts import App, CycloptsError

from flows.command_line import app
from infra.settings import Settings
from tests.small_run import REPOSITORY
from tests.synthetic_store import synthetic_store

PAGES = sorted(
    [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", REPOSITORY / "infra" / "README.md"]
    + list((REPOSITORY / "docs").rglob("*.md"))
)
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
VARIABLE = re.compile(r"\bWHYSPEC_[A-Z_]+\b")

OWN_VARIABLES = {
    "WHYSPEC_SETTINGS",  # where the settings file is
    "WHYSPEC_TEST_DATA",  # where tests look for real spectra
}

# Words of earlier versions and what to write instead. Code is not searched: it names what exists.
RETIRED = {
    r"told by": "say who says it",
    r"told of": "events, on_event",
    r"foresees?|foreseen|foresight": "prefetch, predict",
    r"patiently": "with retries",
    r"planted|plants?": "injected, inject",
    r"set aside|sets aside": "quarantined",
    r"passed over|passes over": "skipped",
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
EXCEPTIONS = {
    ("0002-tail-probability.md", "skip"): "",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose_of(path: Path) -> str:
    """A page without code, in one line per paragraph, so that words are found across line ends."""
    text = CODE_SPAN.sub("", LINK.sub("]", FENCE.sub("", text_of(path))))
    return re.sub(r"[ \t]*\n(?!\n)[ \t]*", " ", text)


@cache
def resolve(name: str) -> object:
    """A dotted name to a module, or to the attribute of one; AttributeError or ImportError if there is none."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if importlib.util.find_spec(".".join(parts[:1])) and _is_module(parts[:length]):
            found: object = importlib.import_module(".".join(parts[:length]))
            for attribute in parts[length:]:
                found = getattr(found, attribute)
            return found
    raise ImportError(name)


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


def lines_of(code: str) -> list[str]:
    """The lines of a shell block, continued ones joined."""
    return re.sub(r"\\\n\s*", " ", code).split("\n")


def words_after_whyspec(line: str) -> list[str] | None:
    """The words of a ``whyspec`` command in a line of shell; None if there is none."""
    words = shlex.split(line, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    return words[1:] if words and Path(words[0]).name == "whyspec" else None


def commands_of(path: Path) -> list[list[str]]:
    """The complete ``whyspec`` commands of a page: those in blocks of code."""
    blocks = [code for language, code in FENCE.findall(text_of(path)) if language in ("", "bash", "sh")]
    lines = [line for code in blocks for line in lines_of(code) if re.match(r"[^#│]*\bwhyspec ", line)]
    found = [words_after_whyspec(line) for line in lines if not line.startswith(" ")]
    return [words for words in found if words]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_in_a_block_parses(path: Path) -> None:
    for words in commands_of(path):
        try:
            app.parse_args(words, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            pytest.fail(f"whyspec {shlex.join(words)}: {error}")


def options_of(words: list[str]) -> tuple[str, set[str]]:
    """The command that words begin with, and the options that it has; KeyError if there is none."""
    command: App = app
    name = []
    while words and re.fullmatch(r"[a-z][a-z-]*", words[0]) and (not name or name == ["bench"]):
        command = command[words[0]]
        name.append(words.pop(0))
    return " ".join(name), {option for each in command.assemble_argument_collection() for option in each.names}


@pytest.mark.parametrize("path", PAGES + BUILD_FILES, ids=name_of)
def test_every_command_and_option_in_a_line_exists(path: Path) -> None:
    everywhere = {"--help", "--version", "--traceback"}
    text = FENCE.sub("", text_of(path)) if path.suffix == ".md" else ""
    spans = [re.sub(r"\s+", " ", span) for span in CODE_SPAN.findall(text)]
    lines = spans if path.suffix == ".md" else lines_of(text_of(path))
    known = "|".join(name for name in app if not name.startswith("-"))
    for rest in (found[1] for line in lines if (found := re.search(rf"\bwhyspec ((?:{known})\b.*)", line))):
        words = shlex.split(rest.split("#")[0])
        command, options = options_of(words)
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= options | everywhere, f"whyspec {command}"
    for span in spans:
        if span.startswith("whyspec ") and not span.startswith("whyspec --"):
            options_of(shlex.split(span.replace("COMMAND", "run"))[1:])


def test_options_named_alone_are_options_of_some_command() -> None:
    """Pages name options by themselves, such as ``--wait``."""
    commands = [app[name] for name in app if not name.startswith("-")]
    commands += [app["bench"][name] for name in app["bench"] if not name.startswith("-")]
    known = {option for each in commands for part in each.assemble_argument_collection() for option in part.names}
    others = {"--nodes", "--cpus-per-task", "--gpus-per-node", "--help", "--traceback"}  # Slurm's, and everywhere
    for path in PAGES:
        spans = CODE_SPAN.findall(FENCE.sub("", text_of(path)))
        given = {span.split()[0].split("=")[0] for span in spans if span.startswith("--")}
        assert given <= known | others, path


@pytest.mark.parametrize("path", PAGES + BUILD_FILES, ids=name_of)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    known = {f"WHYSPEC_{name.upper()}" for name in Settings.model_fields} | OWN_VARIABLES
    assert set(VARIABLE.findall(text_of(path))) - {"WHYSPEC_"} <= known


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_use_the_words_of_today(path: Path) -> None:
    prose = prose_of(path)
    found = {
        (match[0], instead)
        for word, instead in RETIRED.items()
        for match in re.finditer(rf"\b(?:{word})\b", prose, re.IGNORECASE)
    }
    assert found == set()


def test_python_in_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo").mkdir()
    synthetic_store(tmp_path / "demo" / "odd.zarr")
    monkeypatch.chdir(tmp_path)
    blocks = [code for language, code in FENCE.findall(text_of(REPOSITORY / "docs" / "guide.md")) if language == "python"]
    assert blocks
    for code in blocks:
        exec(compile(code, "docs/guide.md", "exec"), {"__name__": "guide"})  # noqa: S102 - our own page
