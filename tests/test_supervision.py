"""The process that supervises, without torch: what it says, what it counts, and how it ends."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reprise.errors import RepriseError
from reprise.records import write_record
from reprise.supervision import check_deaths, forget_deaths

ROOT = Path(__file__).parents[1]
CONDITIONS = {"torch": "2.15", "threads": 1, "environment": {"SLURM_MEM_PER_NODE": "8000"}}
WORK = """
import os, signal, sys, time
from pathlib import Path
from reprise.cli import main, training
from reprise.supervision import check_deaths, tell

def begin(run, *epochs):
    tell(run=run, name=f"mini/{run}, seed 0", folder=run, conditions={"torch": "2.15"}, epochs=8)
    for epoch in epochs:
        tell(epoch=epoch)

def die(name):
    os.kill(os.getpid(), signal.Signals[name])

def attempt():
    "The number of this attempt, from 1."
    with open("attempts", "a+") as file:
        file.write("x")
        return file.tell()

def train(args):
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(work, *before, **options):
    """`reprise train` where `work` takes the place of training."""
    code = (
        WORK
        + "".join(f"    {line}\n" for line in work.strip().splitlines())
        + "training.train = train\nmain()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [*before, sys.executable, "-c", code, "train", "mini"]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def result(work, *before):
    """Exit status, and the lines of the log that are ours."""
    with start(work, *before) as process:
        log = process.communicate(timeout=280)[1]
    assert "Traceback" not in log
    return process.returncode, [line for line in log.splitlines() if line.startswith("reprise: ")]


@pytest.mark.parametrize("status", [0, 1, 3, 143])
def test_the_childs_status_is_the_parents(status):
    assert result(f"sys.exit({status})") == (status, [])


@pytest.mark.parametrize(
    "name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGKILL", "SIGXCPU", "SIGUSR1"]
)
def test_a_death_with_nothing_in_hand(name):
    status, (line,) = result(f"begin('a'); tell(run=None); die('{name}')")
    assert status == 128 + signal.Signals[name]
    assert re.fullmatch(
        rf"reprise: the process died of {name} \(.+\), outside any run; finished runs are kept, run the "
        r"same .*",
        line,
    )


def test_faults_leave_the_lines_of_our_code_in_the_log():
    with start("die('SIGSEGV')") as process:
        _, log = process.communicate(timeout=280)
    assert "Fatal Python error: Segmentation fault" in log
    assert re.search(r'File "<string>", line \d+ in train', log)


@pytest.mark.parametrize(
    ("epochs", "where"),
    [((), ""), ((0,), " in epoch 1/8"), ((0, 1, 2), " in epoch 3/8"), ((0, 8), " in epoch 8/8")],
)
def test_where_it_died(epochs, where):
    status, lines = result(f"attempt() == 1 and (begin('a', *{epochs}), die('SIGSEGV'))")
    assert status == 0
    what = re.escape(f"reprise: run a (mini/a, seed 0): its process died of SIGSEGV{where} (")
    assert [bool(re.fullmatch(rf"{what}.+\); it is tried once more", line)) for line in lines] == [True]


def test_deaths_further_on_are_not_counted_together():
    """In epochs 2, 3, 3: the third is the second in one epoch."""
    work = (
        "epochs = (1, 2, 2)[min(attempt() - 1, 2)]\ncheck_deaths(Path('a'), {'torch': '2.15'}, "
        "'a')\nbegin('a', epochs)\ndie('SIGSEGV')"
    )
    status, lines = result(work)
    assert status == 1
    assert [line.rpartition("; ")[2] for line in lines[:3]] == ["it is tried once more"] * 2 + [
        "it is given up, the other runs go on"
    ]
    assert lines[3].startswith(
        "reprise: a: its process died 2 times, the last time of SIGSEGV in epoch 3/8 ("
    )
    assert len(lines) == 4


def test_an_earlier_epoch_is_no_progress():
    status, lines = result("count = attempt()\nbegin('a', 3 - count)\ncount < 3 and die('SIGSEGV')")
    assert status == 0
    assert lines[1].endswith("it is given up, the other runs go on")


def test_so_many_deaths_are_not_the_runs_fault():
    status, lines = result("begin(f'run{(attempt() - 1) // 2}', 0)\ndie('SIGILL')")
    assert status == 128 + signal.SIGILL
    assert len(lines) == 21
    assert lines[-1].startswith(
        "reprise: 10 runs were given up, so the cause is probably not in the runs; run the same command again"
    )


def test_a_death_that_cannot_be_noted_ends_the_work():
    status, lines = result("Path('a/deaths.json').mkdir(parents=True)\nbegin('a', 0)\ndie('SIGSEGV')")
    assert status == 1
    assert [
        bool(
            re.fullmatch(
                r"reprise: run a .*: its process died of SIGSEGV .*; a/deaths.json: Is a directory; .*", line
            )
        )
        for line in lines
    ] == [True]


def test_whoever_starts_us_may_ignore_the_ends_of_children():
    assert result("sys.exit(3)", "env", "--ignore-signal=CHLD") == (3, [])
    assert result("die('SIGSEGV')", "env", "--ignore-signal=CHLD")[0] == 139


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_child_that_is_stopped_has_not_died_of_its_run(name, folder):
    status, lines = result(f"begin('a', 0); die('{name}'); time.sleep(60)")
    assert (status, lines) == (
        128 + signal.Signals[name],
        [f"reprise: stopped by {name}; run the same command again"],
    )
    assert not (folder / "a").exists()


@pytest.mark.parametrize("group", [False, True], ids=["parent", "both"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_before_the_work_begins(number, group):
    """As torch is imported, say. Ctrl-C in a terminal reaches parent and child."""
    with start("print('here', flush=True); time.sleep(60)", start_new_session=True) as process:
        assert process.stdout.readline() == "here\n"
        (os.killpg if group else os.kill)(process.pid, number)
        _, log = process.communicate(timeout=280)
    assert process.returncode == 128 + number
    assert log == f"reprise: stopped by {number.name}; run the same command again\n"


def test_a_fault_after_the_stop_is_not_counted(folder):
    with start(
        "begin('a', 0)\nsignal.signal(15, lambda *_: die('SIGSEGV'))\nprint('here', "
        "flush=True)\ntime.sleep(60)"
    ) as process:
        assert process.stdout.readline() == "here\n"
        process.terminate()
        _, log = process.communicate(timeout=280)
    assert process.returncode == 143
    assert log.splitlines()[-1] == "reprise: stopped by SIGTERM; run the same command again"
    assert not (folder / "a").exists()


def test_a_parent_that_is_killed_takes_its_child_along():
    with start("print(os.getpid(), flush=True); time.sleep(60)") as process:
        process.stdout.readline()
        process.kill()
        assert process.stdout.read() == "", "the child has closed it, too"


def test_without_the_kernels_help_a_child_ends_when_it_has_something_to_tell():
    code = (
        "import os; from reprise import supervision; r, supervision._channel = os.pipe(); os.close(r); "
        "supervision.tell(epoch=1)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, timeout=280, check=False).returncode
        == -signal.SIGKILL
    )


def test_other_verbs_have_no_child():
    code = "import os; os.fork = None; from reprise.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [
        sys.executable,
        "-c",
        code,
        "runs",
        "cifar100_superclass",
        "--reports",
        str(ROOT / "workflow/reports"),
    ]
    assert (
        subprocess.run(command, env=environment, capture_output=True, timeout=280, check=False).returncode
        == 0
    )


# ---- the note in the run's folder ----


@pytest.fixture
def twice(folder):
    """A folder whose run has died twice."""
    deaths = [{"signal": "SIGSEGV", "epoch": 3, "epochs": 8, "when": "2026-11-24T10:00:00+00:00"}] * 2
    write_record(folder / "deaths.json", {"conditions": CONDITIONS, "deaths": deaths})
    return folder


def test_refused_under_the_same_conditions(twice):
    with pytest.raises(
        RepriseError,
        match=r"^mini/a: its process died 2 times, the last time of SIGSEGV in epoch 3/8 \(.*delete "
        r".*deaths.json$",
    ):
        check_deaths(twice, CONDITIONS, "mini/a")
    with pytest.raises(RepriseError, match=r"^its process died 2 times"):
        check_deaths(twice, CONDITIONS)
    forget_deaths(twice)
    check_deaths(twice, CONDITIONS)


@pytest.mark.parametrize(
    "changed",
    [
        {"torch": "2.16"},
        {"threads": 2},
        {"environment": {}},
        {"environment": {"SLURM_MEM_PER_NODE": "16000"}},
    ],
)
def test_tried_again_under_other_conditions(twice, changed):
    check_deaths(twice, {**CONDITIONS, **changed})


@pytest.mark.parametrize(
    "content",
    [
        *(
            "",
            "[]",
            "{}",
            '{"conditions": {}, "deaths": [{}]}',
            '{"conditions": {}, "deaths": [{"epoch": "x"}]}',
        ),
        '{"conditions": {}, "deaths": [{"signal": "SIGSEGV", "epoch": Infinity, "epochs": 8}]}',
    ],
)
def test_a_damaged_note_counts_for_nothing(folder, content):
    (folder / "deaths.json").write_text(content)
    check_deaths(folder, {})


@pytest.mark.parametrize("said", ['"epoch": 3', '"SIGSEGV"', '"deaths"'])
def test_a_note_that_has_changed_counts_for_nothing(twice, said):
    path = twice / "deaths.json"
    content = path.read_text()
    assert said in content
    path.write_text(
        content.replace(said, said.replace("3", "7").replace("SEGV", "KILL").replace("deaths", "death"))
    )
    check_deaths(twice, CONDITIONS)
