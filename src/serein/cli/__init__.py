"""The command line: `serein --help`. Heavy parts are imported by the command that needs them.

Exit status: 0 all good; 1 some inputs failed, the others have predictions; 2 wrong usage.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from serein import __version__
from serein.cli.cache import cache
from serein.cli.compare import compare
from serein.cli.doctor import doctor
from serein.cli.explain import explain
from serein.cli.listen import listen
from serein.cli.personalise import personalise
from serein.cli.predict import PANEL, PANELS, models, predict
from serein.cli.recipes import check_leaks, corpus, evaluate, export, train, tune
from serein.cli.serve import serve
from serein.cli.show import echo, print_error, print_what_to_try
from serein.cli.sound import denoise, features, plot
from serein.cli.stress import stress
from serein.errors import SereinError, look_at, reason_of
from serein.language import Language
from serein.untrusted import printable

TO_TRY = """Three things to try:

  serein predict call.wav        the emotion of a recording, or of each in a folder
  serein serve                   a page in the browser, and HTTP for programs
  serein doctor                  what is installed, and whether the models run

serein --help lists all commands, serein COMMAND --help their options."""


class Commands(TyperGroup):
    """The commands; what is wrong with their arguments is told without control characters."""

    def make_context(self, *given: Any, **options: Any) -> Any:
        """Read the options before the command."""
        with _printable_errors():
            return super().make_context(*given, **options)

    def invoke(self, ctx: Any) -> Any:
        """Read the options of the command, and run it."""
        with _printable_errors():
            return super().invoke(ctx)


class InPanels(TyperCommand):
    """A command whose `--help` has its options in groups."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, each with its group."""
        params = super().get_params(ctx)
        for param in params:
            vars(param)["rich_help_panel"] = PANELS.get(str(param.name), PANEL)
        return params


@contextmanager
def _printable_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message"):  # an error of usage, which may quote file names
            vars(error)["message"] = printable(getattr(error, "message", ""))
        raise


def _paragraphs(command: Callable[..., None]) -> str:
    """Join the lines of a docstring's paragraphs, which each terminal breaks at its own width."""
    return "\n\n".join(
        " ".join(part.split()) for part in cleandoc(command.__doc__ or "").split("\n\n")
    )


app = typer.Typer(
    name="serein",
    cls=Commands,
    help="Speech emotion recognition that people can trust: how a listener would describe a voice.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=InPanels, help=_paragraphs(predict))(predict)
for command in (
    *(listen, serve, models, personalise, explain, features, plot, denoise),
    *(evaluate, compare, check_leaks, stress, train, tune, export, corpus, doctor),
):
    app.command(help=_paragraphs(command))(command)
app.add_typer(cache)


def _refuse_empty(words: list[str]) -> None:
    """Refuse an empty argument, which would be the working folder; a text alone may be empty."""
    for before, word in pairwise(words):
        of_option = re.fullmatch("(--[a-z-]+)=", word)
        if word and not of_option:
            continue
        name = of_option[1] if of_option else before
        told_later = words[0] == "predict" and not name.startswith("-")  # as one of its inputs
        if name != "--text" and not told_later:
            raise SereinError(f"an argument is empty, after {name}: name a file, folder or value")


def main() -> None:
    """Run the command line; errors that serein raises become one line and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names may hold bytes that are not text
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = _warning_line
    try:
        _refuse_empty(sys.argv[1:])
        status = _with_one_command(sys.argv[1:2])(standalone_mode=False)
        print_what_to_try()
        sys.exit(status)
    except SereinError as error:
        # before typer has read it: an error may come from there
        chinese = "zh" in "=".join(sys.argv).partition("--lang=")[2].split("=")[:1]
        print_error("", error, as_json=False, lang=Language.zh if chinese else Language.en)
    except typer.Abort:  # a question that was not answered with yes, or Ctrl-C
        echo("Aborted.", err=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader, `head` for one, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:  # a disk that is full or read-only
        place = error.filename or "what was being written, perhaps standard output"
        named = Path(error.filename if isinstance(error.filename, str) else "here")
        why = SereinError(f"{place}: {reason_of(error)}", to_try=look_at(named, error))
        print_error("", why, as_json=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # not of usage
            raise
        about = getattr(error, "ctx", None)
        path = about.command_path if about else "serein"
        if said := error.format_message():  # of a group without a command, the help is printed
            print_error("", SereinError(said, to_try=f"{path} --help"), as_json=False)
    print_what_to_try()
    sys.exit(2)


def _warning_line(message: Warning | str, *_: object, **__: object) -> str:
    """Write a warning without the place in the code that gave it; other processes do so, too."""
    return f"serein: {printable(message)}\n"


def _with_one_command(asked: list[str]) -> typer.Typer:
    """Leave out commands that are not asked for: to read all options takes a tenth of a start."""
    named = [
        info
        for info in app.registered_commands
        if info.callback and [info.callback.__name__.replace("_", "-")] == asked
    ]
    one = copy(app)
    if named:  # else help, a mistake, or a group of commands
        one.registered_commands, one.registered_groups = named, []
    return one


@app.callback(invoke_without_command=True)
def serein(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Speech emotion recognition that people can trust."""
    if version:
        echo(f"serein {__version__}")
    elif context.invoked_subcommand is None:
        for line in TO_TRY.splitlines():
            echo(line)
    if version or context.invoked_subcommand is None:
        raise typer.Exit
