"""A SLURM cluster of one node on this machine: munged, slurmctld and slurmd of Debian's packages, and two
GPUs that are only counted.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CONFIGURATION = Path("/etc/slurm")
"""Where Debian's SLURM looks; the jobs' own commands (srun) find no other place."""
FILES = (CONFIGURATION / "slurm.conf", CONFIGURATION / "gres.conf")
MARK = "# one-node cluster of reprise's tests\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
CPUS = 4
MEMORY_MB = 64_000
"""What the node is said to have; SLURM counts it, and nothing is reserved."""


class Unavailable(Exception):
    """Why no cluster can be started here."""


def install() -> None:
    """Install what is missing of SLURM and munge; `Unavailable` says why that cannot be done, or must not."""
    if "SLURM_CONF" in os.environ:
        raise Unavailable("SLURM_CONF is set: the commands of SLURM would ask another cluster")
    for file in FILES:  # those of a test that was killed may stay
        if file.exists() and not file.read_text().startswith(MARK):
            raise Unavailable(
                f"{file} is there already: this machine belongs to a cluster, and the test would replace "
                "its configuration"
            )
    if shutil.which("scontrol") and _answers():
        raise Unavailable(
            "a SLURM cluster answers here already (scontrol ping): a real one, that of another `make "
            "slurm`, or the daemons that a killed "
            f"one has left, which end with: kill $(cat {tempfile.gettempdir()}/reprise-slurm-*/*.pid)"
        )
    # Daemons, and what dpkg calls, lie where a user's PATH does not lead.
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], "/usr/local/sbin", "/usr/sbin", "/sbin"])
    if all(map(shutil.which, PROGRAMS)):
        return
    if not shutil.which("apt-get"):
        raise Unavailable("SLURM is not installed, and there is no apt-get to install it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "install", "--no-install-recommends", "slurm-wlm", "munge"],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(
                f"{' '.join(command)} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
            )


def slurm(*command: str) -> str:
    """Output of a SLURM command, without the newline at its end."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=280).stdout.strip()


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until `condition` holds; a `TimeoutError` names what did not happen."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)


def node_state() -> str:
    return slurm("sinfo", "--noheader", "--format=%T")


def jobs(state: str = "pending,running,completing") -> list[str]:
    """Ids of the jobs in the queue."""
    return slurm("squeue", "--noheader", f"--states={state}", "--format=%i").split()


@contextlib.contextmanager
def cluster() -> Iterator[Path]:
    """A cluster that takes jobs; gives the folder of its logs. When it ends, also by SIGTERM, its jobs,
    daemons and files are gone.
    """
    install()
    at_sigterm = signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="reprise-slurm-"))
    folder.chmod(0o755)
    daemons: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        with (folder / f"{Path(command[0]).name}.out").open("wb") as output:
            daemons.append(subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True))

    try:
        socket_file, key = folder / "munge.socket", folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        _configure(folder, socket_file)
        files = {name: folder / f"munged.{name}" for name in ("pid", "log", "seed")}
        try:
            start(
                "munged",
                "--foreground",
                "--force",
                f"--socket={socket_file}",
                f"--key-file={key}",
                f"--pid-file={files['pid']}",
                f"--log-file={files['log']}",
                f"--seed-file={files['seed']}",
            )
            wait_for(socket_file.exists, "munged starts")
            start("slurmctld", "-D", "-c")
            start("slurmd", "-D", "-c")
            wait_for(lambda: _answers() and node_state() == "idle", "the node is ready")
        except (TimeoutError, OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"the cluster does not start: {error}{_logs(folder)}") from error
        yield folder
    finally:
        with contextlib.suppress(subprocess.SubprocessError, OSError, TimeoutError):
            slurm("scancel", "--user", "root")
            wait_for(lambda: not jobs(), "the jobs end", 20)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in reversed(daemons):
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
            daemon.kill()
        for file in FILES:
            file.unlink(missing_ok=True)
        shutil.rmtree(folder)
        signal.signal(signal.SIGTERM, at_sigterm)


def _logs(folder: Path) -> str:
    """The last lines that each daemon has written."""
    outputs = {
        file.stem: file.read_text(errors="replace").splitlines() for file in sorted(folder.glob("*.out"))
    }
    return "".join("\n".join(["", f"---- {daemon}", *lines[-15:]]) for daemon, lines in outputs.items())


def _answers() -> bool:
    return subprocess.run(["scontrol", "ping"], capture_output=True).returncode == 0


def _configure(folder: Path, socket_file: Path) -> None:
    host = socket.gethostname().partition(".")[0]
    controller, node = _free_ports(2)
    slurm_conf, gres_conf = FILES
    gres_conf.write_text(
        f"{MARK}NodeName={host} Name=gpu File=/dev/null\nNodeName={host} Name=gpu File=/dev/zero\n"
    )
    slurm_conf.write_text(f"""{MARK}
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={socket_file}
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
KillWait=20
MinJobAge=3600
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=1,sched_interval=5,bf_interval=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory={MEMORY_MB} Gres=gpu:2
PartitionName=main Nodes={host} Default=YES State=UP
""")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
