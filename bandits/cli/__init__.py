"""The command line: ``bandits run``, ``resume``, ``show``, ``compare`` and the others that ``bandits --help`` lists.

A command is a function of `playing` (plays), `results` (reads runs) or `asking` (needs no run), and stands in
`COMMANDS` here; `options` has the options that several of them share. What is heavy is imported by the command that
needs it, so that ``bandits --help`` stays fast.

Results go to stdout, progress to stderr. Exit status 0, 1 after a failure, 2 for a wrong request, 130 after Ctrl-C, and
141 where whoever reads the output has closed it, as of ``bandits list | head``: what shells report of such a command.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from .. import __version__
from ..errors import BanditsError, UsageError
from . import asking, playing, results

if TYPE_CHECKING:
    from ..declarations import Declaration

__all__ = ["COMMANDS", "app", "main", "main_of_experiment"]

CLOSED_PIPE = 141  # 128 + SIGPIPE

COMMANDS: dict[str, Callable[..., None]] = {  # in the order of ``bandits --help``
    "run": playing.run,
    "resume": playing.resume,
    "list": asking.list_,
    "show": results.show,
    "compare": results.compare,
    "export": results.export,
    "plot": results.plot,
    "report": results.report,
    "watch": results.watch,
    "bound": asking.bound,
    "bench": asking.bench,
    "verify": playing.verify,
    "doctor": asking.doctor,
}

app = typer.Typer(
    name="bandits",
    help="Simulate bandits and sequential decisions: fast, reproducible, with pluggable agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"bandits {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point: every error that we foresee is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our letters shows marks instead
    warnings.showwarning = _print_warning
    try:
        status = _status(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        with suppress(OSError, ValueError):  # or the interpreter tries once more as it ends, and complains
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = CLOSED_PIPE
    sys.exit(status)


def _status(arguments: list[str] | None) -> int | str | None:
    """Run a command: its exit status.

    Raises:
        BrokenPipeError: Nobody reads the output any more.
    """
    try:
        app(arguments)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BanditsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer ends with 1 there
            raise ended.__context__ from None
        return ended.code
    return 0


def _print_warning(message: Warning | str, *place: Any, **more: Any) -> None:
    """What a user should know is one line, too, without the place in our code."""
    print(f"warning: {message}", file=sys.stderr)


def main_of_experiment(experiment: Declaration) -> NoReturn:
    """``python my_experiment.py [options of bandits run]``: run the experiment of the script that calls this."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    main(["run", script or experiment.name, *sys.argv[1:]])
