"""What lies in a folder, without what editors, desktops and network drives leave beside the files.

Whatever reads the names in a folder, or in an archive that somebody packed of one, asks here.
"""

import re
from collections.abc import Iterator
from pathlib import Path

_STRAY = re.compile(
    r"""
    \..*                       # hidden: .#x (Emacs), .x.swp (Vim), ._x and .DS_Store (macOS), .nfs123,
                               # .ipynb_checkpoints, .git, and the partial files and locks of this project
    | \#.*\# | .*~ | ~\$.*     # copies that editors keep: Emacs, many others, Office
    | .*___jb_(?:tmp|old)___   # the same of PyCharm
    | __MACOSX | Icon\r        # of macOS, in zip archives and in folders
    | @eaDir | \#recycle | \#snapshot | @Recycle | @Recently-Snapshot   # of network drives
    | Thumbs\.db | ehthumbs\.db | desktop\.ini                          # of Windows
    | \$RECYCLE\.BIN | System\ Volume\ Information | lost\+found        # of file systems
    | __pycache__
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def is_stray(name: str) -> bool:
    """Whether a name, or in a path with `/` any of its names, is not of the user's making."""
    return any(_STRAY.fullmatch(part) for part in name.split("/") if part not in ("", ".", ".."))


def listing(folder: Path) -> list[Path]:
    """The files and folders in `folder` in order of their names, without stray ones and links to nowhere.

    A folder that cannot be read is the `OSError` of the system.
    """
    return sorted(path for path in folder.iterdir() if not is_stray(path.name) and path.exists())


def tree(folder: Path) -> Iterator[Path]:
    """The files in `folder` and in the folders below it, as `listing` has them; links to folders are not
    followed.
    """
    for path in listing(folder):
        if not path.is_dir():
            yield path
        elif not path.is_symlink():
            yield from tree(path)
