"""The programs that printed commands call, as a test can afford them: dry runs, small reports, no cluster.

`python programs.py BIN FINISHED` puts a client under the name of each program into the folder BIN and serves
them all. A client hands its words, folder, environment and standard streams to a child of this process, which
has imported Snakemake and torch already: to start them anew for every command would take longer than the
commands do.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from hashlib import md5, sha256
from itertools import dropwhile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from verbs import fitting

Words = Sequence[str]
Status = int | None

BIN, FINISHED = map(Path, sys.argv[1:])

# ---- what becomes of a command ----

ADDED = ["--scale", "demo", "--reports", "small", "--images", "3"]
"""What is added to commands of `reprise`, where the verb takes it: data are drawn here."""


def snakemake(words: Words) -> Status:
    """A dry run, after which there are the logs of its jobs; in the finished project, where reports of
    results are made, the real thing.
    """
    from snakemake.cli import main

    if any(word.startswith("--report") for word in words):
        os.chdir(FINISHED)
    if Path.cwd().samefile(FINISHED):
        sys.executable = str(BIN / "python")  # for the jobs
        return main(words)
    with tempfile.TemporaryFile() as output, os.fdopen(os.dup(1), "wb") as stdout:
        os.dup2(output.fileno(), 1)
        try:
            return main(["-n", *words])
        finally:
            sys.stdout.flush()
            output.seek(0)
            text = output.read()
            stdout.write(text)
            for log in map(Path, re.findall(r"(?:^ +|; )log: (.+)$", text.decode(), re.MULTILINE)):
                log.parent.mkdir(parents=True, exist_ok=True)
                log.touch()


def python(words: Words) -> Status:
    if words[:2] == ["-m", "reprise"]:
        return reprise(words[2:])
    if words[:1] == ["tests/bench/bench.py"]:  # half an hour of measurements: its words are read
        sys.path.insert(0, "tests/bench")
        import bench

        bench.parse(words[1:])
        return None
    if words == ["-"]:
        exec(sys.stdin.read(), {"__name__": "__main__"})
        return None
    return real(sys.executable, words)


def reprise(words: Words) -> Status:
    """The verb, where there are small reports on these; the jobs of the finished project as they are."""
    from reprise.cli import main

    if not Path("small").is_dir():
        return main(words)
    here = {"workflow/reports/": "small/", "/shared/reprise": "shared/reprise"}
    small = [reduce(lambda found, path: found.replace(path, here[path]), here, word) for word in words]
    on_cpu = ["--device", "cpu"] if "--device" in words else []
    return main([*fitting(small, ADDED), *on_cpu])


def make(words: Words) -> Status:
    return real("make", ["-n", *words])


def tail(words: Words) -> Status:
    return real("tail", [word for word in words if word != "-f"])


def real(program: str, words: Words) -> Status:
    path = os.environ["PATH"].split(os.pathsep)
    return subprocess.call(
        ["env", f"PATH={os.pathsep.join(folder for folder in path if Path(folder) != BIN)}", program, *words]
    )


# SLURM: what would be a job runs here and now.


def sbatch(words: Words) -> Status:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--wrap")
    known, others = parser.parse_known_args(words)
    return subprocess.call(["bash", "-c", known.wrap] if known.wrap else ["bash", *without_options(others)])


def srun(words: Words) -> Status:
    return subprocess.call(without_options(words))


def without_options(words: Words) -> Words:
    return list(dropwhile(lambda word: word.startswith("-"), words))


def squeue(words: Words) -> Status:
    print("7 reprise_7")


def scancel(words: Words) -> Status:
    return 0 if words and all(word.isdigit() for word in words) else 1


def tell_nothing(words: Words) -> Status:
    """Commands that describe a cluster."""


PROGRAMS: dict[str, Callable[[Words], Status]] = {
    **{
        function.__name__: function
        for function in (snakemake, python, reprise, make, tail, sbatch, srun, squeue, scancel)
    },
    **dict.fromkeys(("sinfo", "sacct", "sacctmgr", "scontrol"), tell_nothing),
    "python3": python,
}

# ---- clients and server ----

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    call = [os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), dict(os.environ)]
    socket.send_fds(server, [json.dumps(call).encode() + b"\\n"], [0, 1, 2])
    sys.exit(int(server.makefile().read() or 1))
"""


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    block_on_close = False
    parent = os.getppid()

    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != self.parent:  # the test was killed
            raise KeyboardInterrupt


class Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Run a client's program, in a process of its own and with the client's standard streams, and send
        the exit status.
        """
        message, streams, _, _ = socket.recv_fds(self.request, 1 << 20, 3)
        while not message.endswith(b"\n"):
            message += self.request.recv(1 << 20)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        name, words, folder, environment = json.loads(message)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        try:
            status = PROGRAMS[name](words)
        except SystemExit as end:
            status = end.code
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        self.request.sendall(str(int(status or 0)).encode())


def know_small_files() -> None:
    """Take for official archives and weights what holds the file's name alone."""
    from reprise.data.catalog import OWN_DATASETS, WEIGHTS

    for name, facts in OWN_DATASETS.items():
        OWN_DATASETS[name] = replace(facts, md5=md5(facts.file_name.encode()).hexdigest())
    for name, facts in WEIGHTS.items():
        WEIGHTS[name] = replace(facts, sha256_prefix=sha256(facts.file_name.encode()).hexdigest())


def serve() -> None:
    for module in ("snakemake.cli", "snakemake_executor_plugin_slurm"):
        importlib.import_module(module)
    from reprise.planning import calibration  # imports torch and most of ours

    calibration.MOST_S = calibration.LEAST_S
    know_small_files()
    gc.freeze()  # the children share what is here
    with (
        tempfile.TemporaryDirectory(prefix="reprise-") as folder,
        Server(f"{folder}/socket", Answer) as server,
    ):
        for name in PROGRAMS:
            (BIN / name).unlink(missing_ok=True)
            (BIN / name).write_text(CLIENT.format(python=sys.executable, address=server.server_address))
            (BIN / name).chmod(0o755)
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        serve()
