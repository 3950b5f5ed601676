"""Help in two columns, without boxes: for terminals, pipes and those who have it read to them."""

import shutil
from collections.abc import Sequence

from cyclopts import App
from cyclopts.help import DefaultFormatter, HelpPanel
from cyclopts.help.specs import (
    DefaultStyled,
    TableSpec,
    get_default_command_columns,
    get_default_parameter_columns,
)
from rich.console import Console, ConsoleOptions
from rich.padding import Padding

NARROWEST, WIDEST = 50, 110
"""Columns of a line of help; where no terminal says how wide it is, it has `WIDTH`."""
WIDTH = 100


class Columns(DefaultFormatter):
    """Each panel as its title, and a table indented under it."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        if panel.entries:
            columns = (
                get_default_command_columns if panel.format == "command" else get_default_parameter_columns
            )
            table = TableSpec().build(columns(console, options, panel.entries), panel.entries)
            console.print(f"{panel.title}:", style="bold", highlight=False)
            console.print(DefaultStyled(Padding(table, (0, 0, 1, 2), expand=False)))


def print_help(app: App, words: Sequence[str]) -> None:
    """Print the help of the application, or of the verb that `words` name."""
    for verbs in (app, *app.subapps):
        verbs.resolved_commands()  # whose docstrings are the help
    app.help_formatter = Columns()
    columns = shutil.get_terminal_size((WIDTH, 24)).columns
    console = Console(width=max(NARROWEST, min(columns, WIDEST)))
    with console.capture() as captured:
        app.help_print(words, console=console)
    print("\n".join(line.rstrip() for line in captured.get().rstrip().split("\n")))
