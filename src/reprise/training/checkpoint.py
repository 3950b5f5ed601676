"""Checkpoints: everything that changes while a run trains, as it stood after a finished epoch.

The file is one line, `MAGIC` and the SHA-256 of what follows, and then what `torch.save` writes.
"""

import hashlib
import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from reprise.errors import DamagedError, RepriseError, file_error
from reprise.files import atomic, check_regular
from reprise.records import MOST_BYTES
from reprise.reports.run import Run
from reprise.training.precision import precision_name
from reprise.training.state import State

MAGIC = b"reprise checkpoint sha256 "


class _HashedWriter(io.RawIOBase):
    """Writes through to `file`, and hashes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.hash = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return self._file.write(data)


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write what a checkpoint holds, atomically."""
    with atomic(path) as partial:
        try:
            with partial.open("wb") as file:
                file.write(MAGIC + bytes(2 * hashlib.sha256().digest_size) + b"\n")
                hashed = _HashedWriter(file)
                torch.save(content, hashed)  # type: ignore[arg-type]  # torch needs no more than `write`
                file.seek(len(MAGIC))
                file.write(hashed.hash.hexdigest().encode())
        except RuntimeError as error:  # what torch makes of a full disk
            raise RepriseError(
                f"{path}: cannot be written ({' '.join(str(error).split())[:100]}); is the disk full?"
            ) from None


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What a checkpoint holds; one that is damaged, or was written without a digest by an earlier version, is
    a `DamagedError`.
    """
    remedy = "delete it, and the run starts again"
    if check_regular(path) > MOST_BYTES:
        raise DamagedError(f"{path}: more than {MOST_BYTES:,} bytes, far too many for a checkpoint", remedy)
    with path.open("rb") as file:
        line, start = file.readline(1000), file.tell()
        if (
            line != MAGIC + hashlib.file_digest(file, "sha256").hexdigest().encode() + b"\n"
        ):  # before memory is asked for
            raise DamagedError(f"{path}: damaged (its content does not match its digest)", remedy)
        file.seek(start)
        content = file.read()
    return torch.load(io.BytesIO(content), map_location=device, weights_only=True)


def finished_epochs(path: Path) -> int:
    """How many epochs a run's checkpoint has behind it; 0 where there is none that can be read."""
    try:
        return len(read_checkpoint(path)["state"]["learning_rates"])
    except Exception:  # whatever another file makes of the reader; `Checkpoint` says so when it is used
        return 0


class Checkpoint:
    """`checkpoint.pt` of one run on one kind of device, in one precision and on the data set with these
    digests (by split).
    """

    def __init__(
        self,
        path: Path,
        run: Run,
        digests: Mapping[str, str],
        device: torch.device,
        precision: torch.dtype,
        seconds: float,
    ) -> None:
        self._path, self._device, self._seconds = path, device, seconds
        self._identity = {
            "run": run.hash,
            "device": device.type,
            "dtype": precision_name(precision),
            "data": dict(digests),
        }
        self._spec = run.spec
        self._latest: dict[str, Any] | None = None
        self._written_at = time.monotonic()

    def load_into(self, fresh: Callable[[], State], say: Callable[[str], None]) -> State:
        """The state where the run was left, or a fresh one where there is no checkpoint or it cannot be used
        (a line says why). One that this user may not read, maybe hours of somebody else, is a `RepriseError`.
        """
        state = fresh()
        if not self._path.is_file():
            return state
        try:
            found = read_checkpoint(self._path, self._device)
            identity = {key: found[key] for key in self._identity}
            if identity == self._identity:
                state.restore(found["state"])
                return state
            reason = f"it is of {identity}"
        except DamagedError as error:
            reason = error.what.removeprefix(f"{self._path}: ")
        except PermissionError as error:
            raise RepriseError(
                f"{file_error(error, self._path)}; or delete it, and the run starts again"
            ) from None
        except Exception as error:  # whatever another file makes of the reader: nothing of it is used
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        say(f"{self._path}: checkpoint ignored, the run starts again ({reason})")
        return fresh()

    def epoch_ended(self, state: State) -> None:
        """Note the state; write it if the last one written is older than the interval."""
        self._latest = state.snapshot()
        if time.monotonic() - self._written_at >= self._seconds:
            self.write()

    def write(self) -> None:
        """Write the state after the last finished epoch, if one has finished since the last time."""
        if self._latest is None:
            return
        write_checkpoint(self._path, {**self._identity, "spec": self._spec, "state": self._latest})
        self._latest = None
        self._written_at = time.monotonic()
