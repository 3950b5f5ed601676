"""The application: its verbs by name, and `main`."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import get_args

from cyclopts import (
    App,
    CoercionError,
    ConsumeMultipleError,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    Token,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from reprise import __version__
from reprise.cli.process import end, outlasting_its_log, without_collector
from reprise.errors import RepriseError, SeveralMistakes, file_error, nearest
from reprise.interpreter import import_mistake
from reprise.progress import say
from reprise.supervision import Stopped, supervise

VERBS = {
    "new": "new:new",
    "check": "reports:check",
    "runs": "reports:runs",
    "schema": "reports:schema",
    "plan": "reports:plan",
    "run": "run:run",
    "next": "next:next_",
    "data fetch": "data:fetch",
    "data fetch-weights": "data:fetch_weights",
    "data decode": "data:decode",
    "data statistics": "data:statistics",
    "data add": "data:add",
    "data stand-in": "data:stand_in",
    "data synthesize": "data:synthesize",
    "train": "training:train",
    "evaluate": "evaluation:evaluate",
    "study show": "study:show",
    "study work": "study:work",
    "submission": "evaluation:submission",
    "layers": "publishing:layers",
    "samples": "publishing:samples",
    "figure": "publishing:figure",
    "table": "publishing:table",
    "statements": "publishing:statements",
    "summary": "publishing:summary",
    "site": "publishing:site",
    "tensorboard": "tensorboard:tensorboard",
    "export": "exchange:export",
    "publish": "exchange:publish",
    "import": "exchange:import_",
    "verify": "verification:verify",
}
"""Verb → the function that does it, whose module is imported when the verb is called."""
GROUPS = {
    "data": "Fetch, verify and decode data sets.",
    "study": "Searches with ASHA: show the leaderboard, or train with several workers.",
}
SUPERVISED = {
    "train": True,
    "run": True,
    "next": True,
    "verify": True,
    "study work": True,
    "evaluate": False,
    "submission": False,
}
"""Verbs that a child process does, and whether a new child goes on where one has died."""
BRIEF = ("layers", "samples", "figure", "table", "statements", "summary", "site")
"""Verbs that import much, make one thing and end."""
LISTINGS = ("check", "runs", "plan", "next", "study show", "summary", "--help", "--version")
"""Verbs whose reader may have seen enough before their last line (head, less)."""


def application() -> App:
    """The verbs, none of them imported."""
    app = App(
        name="reprise",
        help="Rebuild published image-classification reports from raw data.",
        help_format="plaintext",
        group_arguments=Group("Arguments", sort_key=0),
        group_parameters=Group("Options", sort_key=2),
        group_commands=Group("Verbs", sort_key=3),
        default_parameter=Parameter(negative=(), allow_repeating=True, json_list=False, json_dict=False),
    )
    for flag in ("--help", "--version"):
        app[flag].group = "Options"
    for place, (verb, function) in enumerate(VERBS.items()):
        group, _, name = verb.rpartition(" ")
        if group and group not in app:
            app.command(App(name=group, help=GROUPS[group], version_flags=(), sort_key=place))
        verbs = app[group] if group else app
        verbs.command(f"reprise.cli.{function}", name=name, version_flags=(), sort_key=place)
    return app


class UsageError(RepriseError):
    """Words that are no command: exit status 2."""


def parse(words: Sequence[str]) -> tuple[str, Callable[[], object]]:
    """The verb, and a function that does what the words say; a `UsageError` where they are no command."""
    app = application()
    try:
        function, arguments, _ = app.parse_args(list(words), print_error=False, exit_on_error=False)
    except CycloptsError as error:
        raise UsageError(_mistake(error)) from None
    chain, apps, _ = app.parse_commands(words)
    verb = " ".join(chain)
    if function == app.version_print:
        return verb, lambda: print(f"reprise {__version__}")
    if function != app.help_print:
        return verb, lambda: function(*arguments.args, **arguments.kwargs)
    if not {"--help", "-h"} & set(words):  # Cyclopts would print the help and succeed
        what = f"{verb}: a verb is required" if verb else "a verb is required"
        raise UsageError(what + nearest("", _verbs(apps[-1])))
    from reprise.cli.help import print_help

    return "--help", lambda: print_help(app, arguments.arguments["tokens"])


def _mistake(error: CycloptsError) -> str:
    """What is wrong with the words, in one line."""
    verb = " ".join(error.command_chain or ())
    argument = error.argument.name if error.argument else ""
    match error:
        case UnknownCommandError(unused_tokens=[first, *_], app=App() as app):
            word = first.partition("=")[0]
            dashed = word.startswith("-")
            known = [name for name in app if name.startswith("-") == dashed]
            what = _unknown_option(first, known) if dashed else f"no verb {word}{nearest(word, known)}"
        case UnknownOptionError():
            names = [name for each in error.argument_collection for name in each.names]
            known = [name for name in names if name.startswith("--")]
            what = _unknown_option(error.token.keyword or error.token.value, [*known, "--help"])
        case UnusedCliTokensError(unused_tokens=[first, *_]):
            what = f"{first!r} is one argument too many"
        case ConsumeMultipleError():
            what = f"{error.keyword}: expected at least one value"
        case MissingArgumentError() if error.keyword:
            what = f"{error.keyword}: expected a value (one that begins with - as {error.keyword}=VALUE)"
        case MissingArgumentError():
            what = f"{argument} is required; put arguments before options that take several values"
        case CoercionError(msg=None, token=Token(keyword=keyword, value=value)):
            name = keyword or argument
            what = f"{name}: no {value!r}{nearest(value, get_args(error.target_type))}"
        case CoercionError(msg=str(msg), token=token):
            what = f"{token.keyword if token and token.keyword else argument}: {msg}"
        case ValidationError():
            what = error.exception_message
        case _:
            what = " ".join(str(error).split())
    return f"{verb}: {what}" if verb else what


def _unknown_option(word: str, known: Sequence[str]) -> str:
    """What is wrong with an option that a verb does not take there, of those that are `known`."""
    option, equals, _ = word.partition("=")
    if option not in known:
        return f"no option {option}{nearest(option, known)}"
    return (
        f"{option} takes no value"
        if equals
        else f"{option} comes after --, where no option is read; put it before the --"
    )


def _verbs(app: App) -> list[str]:
    """The verbs of an application or of a group."""
    return [name for name in app if not name.startswith("-")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; a `RepriseError` or what the system refuses is one line on standard error and exit status
    1, and words that are no command are one line and exit status 2.

    With the process's own arguments (None), trainings and predictions are made in a child process that this
    one supervises.
    """
    if arguments is None:
        if sys.stderr is not None:
            faulthandler.enable()
        if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that lacks a letter shows its number
            sys.stdout.reconfigure(errors="backslashreplace")
        os.environ["MPLBACKEND"] = "agg"  # what Jupyter leaves there may be unknown here
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "passive"
    )  # threads that wait by spinning take the core from the one that they wait for
    verb = ""
    with outlasting_its_log():
        try:
            verb, do = parse(sys.argv[1:] if arguments is None else arguments)
            if arguments is None and verb in SUPERVISED:
                supervise(retry=SUPERVISED[verb])
            with without_collector() if verb in BRIEF else contextlib.nullcontext():
                do()
            if sys.stdout is not None:
                sys.stdout.flush()  # here a broken pipe can still be met
        except UsageError as error:
            end(str(error), 2)
        except SeveralMistakes as error:
            for mistake in error.lines[:-1]:
                say(mistake)
            end(error.lines[-1], 1)
        except RepriseError as error:
            end(str(error), 1)
        except Stopped as stop:
            end(
                f"stopped by {signal.Signals(stop.number).name}; run the same command again",
                128 + stop.number,
            )
        except KeyboardInterrupt:
            end("stopped by SIGINT; run the same command again", 130)
        except BrokenPipeError as error:  # the reader of our output (head, less) has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if verb in LISTINGS:
                sys.exit(0)
            end(file_error(error, "standard output"), 1)
        except OSError as error:
            end(file_error(error), 1)
        except MemoryError:
            end("too little memory; free some, or run less at a time, and run the same command again", 1)
        except Exception as error:
            if line := import_mistake(error):
                end(line, 1)
            raise
