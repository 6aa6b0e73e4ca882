"""The command ``broker``: one file a command. Exit status: 0; 1, the answer is no; 2, used wrongly.

Imports of a command's parts are inside the command, so that ``broker --help`` and each command start fast.
"""

from __future__ import annotations

import sys

from broker.cli.commands import app
from broker.cli.console import complain
from broker.settings import SettingsError


def main() -> None:
    """The console script."""
    try:
        app()
    except SettingsError as error:
        complain(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
