"""What users give, read in one way wherever they give it: on the command line, in variables of the
environment, in `config.yaml` and with Snakemake's `--config`.

Each function takes what was given and returns what is meant; what cannot be meant is a `ValueError`, whose
text says why. The caller says where it stood.
"""

import errno
import os
import re
from pathlib import Path

from reprise.errors import file_error

LONGEST = 4096
"""Characters of a path or a name."""
NOTHING = ("none", "null")
"""Words for no value, where YAML does not read them: Snakemake hands `--config data=none` over as text."""
YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
DEVICES = "auto, cpu, cuda, cuda:1 (the second GPU), …"


def name(value: object) -> str:
    """Text that can be the name of a file."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    if len(value) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters; shorten it")
    if "\0" in value:
        raise ValueError("no name holds a null character; leave it out")
    return value


def path(value: object) -> str:
    """A file or folder. `~` and `~user` are home folders: a shell does not expand them in `--results=~/a` or
    in a configuration.
    """
    text = name(value)
    if not text.startswith("~"):
        return text
    unknown = f"no such home folder; write the path out, or ./{text} for a folder of that name"
    try:
        found = Path(text).expanduser()
    except RuntimeError:
        raise ValueError(unknown) from None
    if not found.is_absolute() or (text.partition("/")[0] == "~" and os.environ.get("HOME") == ""):
        raise ValueError(unknown)
    return str(found)


def no_folder(folder: Path) -> str:
    """Why nothing can lie in a folder, as far as it or a folder above it is there; empty where something
    can.
    """
    there = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
    if os.path.isdir(there):  # noqa: PTH112 (a link that may not be followed is no error)
        if os.access(there, os.X_OK, effective_ids=True):
            return ""
        return file_error(PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there)))
    if not os.path.lexists(there):
        return ""
    what = "a link that leads to no folder" if there.is_symlink() else "a file"
    return f"{str(there)!r} is {what}; name a folder, or move it away"


def place(value: object) -> str:
    """A file or folder, or a URL."""
    text = name(value)
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError("not a name that a file can have; correct it") from None
    if not text:
        raise ValueError("an empty name; leave it out")
    return text if "://" in text else path(text)


def device(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,4})?", value):
        raise ValueError(f"not valid; valid: {DEVICES}")
    return value


def whole(value: object) -> int:
    """A whole number, also from text and from floats such as 1e5, as the command line has them."""
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"[+-]?[0-9]{1,30}", text):
        return int(text)
    if re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,30})?[eE]\+?[0-9]{1,2}", text):
        value = float(text)
    if isinstance(value, bool) or not (
        isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    ):
        raise ValueError("not a whole number")
    return int(value)


def yes_or_no(value: object) -> bool:
    """YAML's yes and no, which are text, or 0 and 1, where they come from the command line."""
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word not in (*YES, *NO):
        raise ValueError("neither yes nor no")
    return word in YES
