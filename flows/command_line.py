"""The command line: ``whyspec COMMAND``. What takes long to import is imported by the commands."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from cyclopts import App, CycloptsError, Parameter
from cyclopts.help import DefaultFormatter, PanelSpec
from rich.box import Box

from flows.commands.attribute import attribute
from flows.commands.bench import bench
from flows.commands.benchmark import benchmark
from flows.commands.demo import demo
from flows.commands.evaluate import ablation, evaluate
from flows.commands.export import export
from flows.commands.match import match
from flows.commands.methods import methods
from flows.commands.models import adapt, import_spender
from flows.commands.release import plan, run, simulate, train
from flows.commands.selection import Selection
from flows.commands.settings import settings
from flows.commands.spectrum import explain, show
from flows.commands.store import catalogue, cluster, query, report, status, verify
from flows.console import notes, show_error, write_json
from flows.standard_streams import prepare_streams
from infra.environment import prepare_environment
from infra.log_output import LogOutput, set_up_logging
from infra.settings import load_settings
from models.credentials import refuse_credentials
from models.errors import BugError, InputError, RetryError, WhyspecError
from models.plain_text import printable
from models.secrets import redacted

INTERRUPTED = 130
USAGE = 64

_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a system says that keeps a place from this user, or has no room left in it."""

_HELP = """Find the odd spectra of a DESI or SDSS release and the wavelengths that make each one odd."""

_EPILOGUE = """
A first run:

    whyspec simulate release --survey desi --spectra 2000
    whyspec run release --store odd.zarr
    whyspec cluster odd.zarr
    whyspec report odd.zarr -o odd.html

Wavelengths are vacuum Angstrom, windows are pixels of the survey's grid.

Exit status:
    0    done
    3    done, but files were quarantined; the summary says which and why
    64   options, settings, model and store do not fit together
    65   the store is damaged or of another schema version
    66   the input is not there, or not what the command needs
    70   a bug in whyspec: please report the text
    75   a fault that may pass (network, disk, another run): run it again
    130  interrupted: the same command continues

Settings of the machine are WHYSPEC_* variables, or names in whyspec.toml;
whyspec settings lists them. WHYSPEC_LOG_FILE=run.log keeps a log.
WHYSPEC_TRACEBACK=1 or --traceback shows where an error was raised.
"""


def _version() -> str:
    try:
        return version("whyspec")
    except PackageNotFoundError:
        return "0 (not installed)"


def _unwrapped(text: str) -> str:
    """A docstring with every paragraph on one line: the terminal wraps them to its own width."""
    lines: list[str] = []
    for line in text.splitlines():
        before = lines[-1] if lines else ""
        indents = [len(each) - len(each.lstrip()) for each in (before, line)]
        apart = not line.strip() or not before.strip() or "---" in before + line
        if apart or indents[0] != indents[1]:
            lines.append(line)
        else:
            lines[-1] += f" {line.strip()}"
    return "\n".join(lines)


def _shown_default(value: object) -> str | None:
    """A default where it says something; what "not given" does, the option's own text says."""
    return None if value is None or value is False or value in ("", ()) else str(value)


_WITHOUT_BOXES = DefaultFormatter(panel_spec=PanelSpec(box=Box("    \n" * 8)))
"""How help looks in a pipe or a file."""

app = App(
    name="whyspec",
    default_parameter=Parameter(show_default=_shown_default),
    help=_HELP,
    help_epilogue=_EPILOGUE,
    help_format="plaintext",
    version=_version,
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
_IN_ORDER_OF_WORK: tuple[Callable[..., int], ...] = (
    demo, plan, run, status, attribute, cluster, report, query, match, export, show, explain, methods, verify,
    catalogue, simulate, train, adapt, import_spender, evaluate, ablation, benchmark, settings,
)  # fmt: skip
Selection.__doc__ = _unwrapped(Selection.__doc__ or "")
for place, command in enumerate(_IN_ORDER_OF_WORK):
    # The epilogue belongs to `whyspec --help`: under the options of every command it would bury them.
    command.__doc__ = _unwrapped(command.__doc__ or "")
    app.command(command, sort_key=place, help_epilogue="")
app.command(bench)


def main() -> None:
    """Entry point of ``whyspec``: runs a command and exits with its status."""
    prepare_streams()
    _let_warnings_pass()
    sys.exit(run_command(sys.argv[1:]))


def run_command(tokens: list[str]) -> int:
    """Run one command; errors are shown, not raised.

    Returns
    -------
    The exit status, see ``whyspec --help``.
    """
    show_traceback = "--traceback" in tokens or os.environ.get("WHYSPEC_TRACEBACK", "0") not in ("", "0")
    tokens = [part for part in tokens if part != "--traceback"]
    prepare_environment()
    try:
        set_up_logging(LogOutput.of(load_settings()))
        # Here for all commands: what they open, hand to Prefect, write to or print.
        refuse_credentials(*(_value(token) for token in tokens))
        app.help_formatter = None if sys.stdout.isatty() else _WITHOUT_BOXES
        status = app(tokens)
        sys.stdout.flush()  # what cannot be written is found out here, not after the exit status
        return status if isinstance(status, int) else 0
    except WhyspecError as error:
        return _fail(error, tokens, show_traceback)
    except CycloptsError as error:
        notes().print(redacted(str(error)))
        notes().print(f"See whyspec {_command_of(tokens)}--help.")
        return USAGE
    except KeyboardInterrupt:
        notes().print("Interrupted. What was finished is kept: the same command continues.")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort must not show a bare traceback
        unexpected = _unexpected(error)
        unexpected.__cause__ = error
        return _fail(unexpected, tokens, show_traceback)


def _let_warnings_pass() -> None:
    """Show warnings that PYTHONWARNINGS makes errors, here and in workers: they are of libraries."""
    if any(action == "error" for action, *_ in warnings.filters):
        os.environ["PYTHONWARNINGS"] = "default"
        warnings.resetwarnings()


def _unexpected(error: Exception) -> WhyspecError:
    """What an exception means that no code expected."""
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return InputError(
            "The system refused to read or write.",
            where=str(error.filename or ""),
            got=error.strerror,
            allowed="places that this user may read or write, on disks with room",
            remedy="Make room or change the permissions; --traceback shows what was to be read or written.",
        )
    if isinstance(error, MemoryError) or str(error) == "can't start new thread":
        return RetryError(
            "The system gave no memory or no thread.",
            got=f"{type(error).__name__}: {error}",
            remedy="Run again where more is free: see ulimit -a, or ask for fewer --workers.",
        )
    return BugError(
        "whyspec failed in a way it does not know.",
        got=f"{type(error).__name__}: {error}",
        remedy="Report this with the command; --traceback shows where it happened.",
    )


def _command_of(tokens: list[str]) -> str:
    """The command among the tokens with a space behind it, nothing if there is none."""
    return f"{tokens[0]} " if tokens and tokens[0] in [*app] else ""


def _value(token: str) -> str:
    return token.partition("=")[2] if token.startswith("--") else token


def _fail(error: WhyspecError, tokens: list[str], show_traceback: bool) -> int:
    if show_traceback:
        import traceback

        # With all that led to it, also what other libraries raised.
        sys.stderr.write(printable(redacted("".join(traceback.format_exception(error)))))
    if "--json" in tokens:
        parts = {name: text for name, text in error.details() if text}
        write_json({"error": {"kind": error.kind, "what": error.what, **parts}})
    show_error(error)
    return error.exit_code


if __name__ == "__main__":
    main()
