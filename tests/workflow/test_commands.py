"""Every command that README, docs and comments print runs as it is printed; programs.py says what becomes of
the programs.

What needs a network or a cluster bears a mark in the page's source, right before it: <!-- not run by tests:
needs a network -->.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from PIL import Image
from project import REPORT, ROOT, new_project

from reprise.data.catalog import OWN_DATASETS, WEIGHTS
from reprise.reports.report import Report, report_files
from reprise.schema import plain

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
]
PAGES += [
    "Snakefile",
    "Makefile",
    "config.yaml",
    "workflow/profiles/slurm/profile.yaml",
    "workflow/profiles/slurm/settings.yaml",
]
MARKED = {"docs/cluster.md": 1, "docs/use.md": 1}
"""Page → how much of it bears a mark."""
PLACEHOLDERS = {
    "<verb>": "runs cifar10_asha",
    "<slug>": "cifar10_asha",
    "<report>": "cifar10_asha",
    "<experiment>": "classic",
    "FILE": "workflow/reports/cifar100_superclass.yaml",
}

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(900)]

# ---- what a page prints ----

PROGRAM = (
    r"(?:snakemake|python3?|reprise|make|bash|pip|conda|apt-get"
    r"|s(?:batch|run|queue|cancel|info|acct|acctmgr|control)|\.)"
)
PRINTED = re.compile(
    r"(?:<!-- not run by tests: (?P<mark>needs a (?:cluster|network)) -->\s*)?"
    r"(?:^(?P<indent> *)```(?P<language>\w*)\n(?P<block>.*?)^(?P=indent)```$"
    # indented code, the docstring of the Snakefile
    rf"|^(?: {{4,}}|(?=snakemake ))(?P<line>{PROGRAM} [^\n]*)$"
    r"|(?P<ticks>`+)(?P<span>(?:(?!\n\n).)+?)(?<!`)(?P=ticks)(?!`))",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(rf"{PROGRAM} .+|[\w.][\w./-]*(?: \S+)* --?[A-Za-z].*")
"""Code in a line that is a whole command: a program that we know and words, or anything with an option."""
OTHER_LANGUAGES = {"yaml", "python", "toml"}
REPORT_FILE = re.compile(r"```yaml\n# workflow/reports/(\S+)\n(.*?)```", re.DOTALL)
"""A report file that a page shows whole: its name and content."""


class Printed(NamedTuple):
    text: str
    marked: bool


def printed(page: str) -> Iterator[Printed]:
    """Blocks and lines of commands in the order of the page."""
    for found in PRINTED.finditer(page):
        if found["block"]:
            text = None if found["language"] in OTHER_LANGUAGES else found["block"]
        else:
            code = found["line"] or re.sub(r"\s*\n[#\s]*", " ", found["span"])
            text = code if COMMAND.fullmatch(code) else None
        if text:
            yield Printed(text, bool(found["mark"]))


def commands(block: str) -> Iterator[str]:
    """A block's commands, each with all its lines."""
    command = ""
    for line in block.splitlines():
        command += line
        parsed = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True)
        if (
            command.endswith("\\") or parsed.returncode != 0 or parsed.stderr
        ):  # a here-document without its end is a warning
            command += "\n"
            continue
        if shlex.split(command, comments=True):
            yield command
        command = ""
    if command:
        yield command


# ---- a reader who follows it ----


def small(report: Report) -> dict[str, Any]:
    """A report of the same names, whose experiments are one run or a study of one trial, and whose figures
    are all alike.
    """
    rate = {"lr": {"path": "optimizer.lr", "values": [0.01, 0.001]}}
    study = {"asha": {"trials": 1, "seed": 0, "min_resource": 1, "reduction_factor": 2, "space": rate}}
    first = next(iter(report.experiments))
    curves = {
        "kind": "curves",
        "caption": "-",
        "metric": "accuracy",
        "splits": ["train"],
        "series": [{"runs": first, "label": "-"}],
    }
    layers = {"kind": "layers", "caption": "-", "networks": ["net"]}
    measure = f"accuracy({json.dumps(first)})"
    return REPORT | {
        "slug": report.slug,
        "defaults": REPORT["defaults"] | {"dataset": plain(report.file.defaults.dataset)},
        "experiments": {
            name: study if experiment.asha else {} for name, experiment in report.file.experiments.items()
        },
        "figures": [{"id": figure.id} | curves for figure in report.figures],
        "tables": [{"id": table.id} | layers for table in report.tables],
        "statements": [{"number": "one", "says": "-", "reported": "0.5", "measure": measure}],
    }


class Reader:
    """Someone with a copy of the project, no network, and what the pages take for granted."""

    def __init__(self, folder: Path, bin_folder: Path, finished: Path) -> None:
        self.folder = folder
        self.finished = finished
        """A small project whose demo is made."""
        self.seen: set[tuple[str, ...]] = set()
        nowhere = dict.fromkeys(
            ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
        )
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("REPRISE_")},
            **nowhere,
            "no_proxy": "",
            "PIP_NO_INDEX": "1",
            "PIP_DRY_RUN": "1",
            "OMP_NUM_THREADS": "1",
            "PATH": os.pathsep.join([str(bin_folder), os.environ["PATH"]]),
            "PYTHONPATH": str(folder / "src"),
            "REPRISE_MIRROR": shlex.quote(str(folder)),
        }

    @contextlib.contextmanager
    def saved(self, page: str) -> Iterator[None]:
        """With the report files that a page shows, which its commands are about."""
        places = [
            self.folder / folder / name
            for name, content in REPORT_FILE.findall(page)
            for folder in ("workflow/reports", "small")
            if (self.folder / folder / name).write_text(content)
        ]
        yield
        for place in places:
            place.unlink()

    def run(self, text: str) -> str:
        """Run a block; what went wrong, or nothing."""
        for word, example in PLACEHOLDERS.items():
            text = re.sub(rf"(?<!\w){word}(?!\w)", example, text)
        script = "set -o pipefail\n"
        for command in commands(text):
            if command.startswith("snakemake "):  # a dry run changes nothing: once is enough
                words = tuple(shlex.split(command, comments=True))
                if words in self.seen:
                    continue
                self.seen.add(words)
            script += f"{{ {command}\n}} || {{ echo {shlex.quote(f'refused: {command}')} >&2; exit 1; }}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        if done.returncode != 0:
            return done.stdout[-2000:] + done.stderr[-2000:]
        missing = set(re.findall(r" # *(\d[\d ]*)$", text, re.MULTILINE)) - set(done.stdout.splitlines())
        return f"{text}\nprints\n{done.stdout}\nand not {missing}" if missing else ""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    for name in ("Snakefile", "Makefile", "config.yaml", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    for name in ("src", "workflow", "envs", "tests", ".ci"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    (folder / "small").mkdir()
    for slug, path in report_files(ROOT / "workflow/reports").items():
        (folder / f"small/{slug}.yaml").write_text(yaml.safe_dump(small(Report(path))))
    for facts in (*OWN_DATASETS.values(), *WEIGHTS.values()):
        (folder / facts.file_name).write_text(facts.file_name)
    (folder / "ARCHIVE").mkdir()
    for number in range(1, 4):
        Image.fromarray(np.full((32, 32, 3), 80 * number, np.uint8)).save(folder / f"ARCHIVE/{number}.png")

    finished = new_project(tmp_path_factory.mktemp("finished"))
    (finished / "config.yaml").write_text(
        (finished / "config.yaml").read_text().replace("scale: full", "scale: demo")
    )
    venv.create(folder / ".venv")
    bin_folder = folder / ".venv/bin"
    reader = Reader(folder, bin_folder, finished)
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("programs.py"), bin_folder, finished],
        env={**reader.environment, "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout
        assert server.stdout.readline() == b"ready\n"
        assert not reader.run(f"cd {shlex.quote(str(finished))} && snakemake --cores 1")
        for name in OWN_DATASETS:
            data = "python -m reprise data"
            assert not reader.run(
                f"{data} synthesize {name} --train 100 --test 100\n{data} fetch {name}\n{data} decode {name}"
            )
        assert not reader.run(
            "python -m reprise train cifar10_architectures\n"
            "python -m reprise evaluate cifar10_architectures\n"
            "python -m reprise publish cifar10_architectures results/evidence"
        )
        yield reader
    finally:
        server.terminate()
        server.wait()


# ---- tests ----


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_prints_runs(page: str, reader: Reader):
    content = (ROOT / page).read_text()
    with reader.saved(content):
        troubles = [reader.run(text) for text, marked in printed(content) if not marked]
    assert not any(troubles), "\n\n".join(filter(None, troubles))


def test_the_page_of_results_holds_them_all_with_captions_and_provenance(reader: Reader):
    assert not reader.run("snakemake --report report.html")
    page = (reader.finished / "report.html").read_text()
    for result in (
        "figures/mini/curves.png",
        "figures/mini/image.png",
        "tables/mini/networks.html",
        "statements/mini.html",
    ):
        assert f'"results/demo/{result}": {{' in page
    for text in ("Accuracy.", "An image.", "The network.", '"rule": "figure"', "--scale=demo"):
        assert text in page


def test_no_more_is_marked_than_needs_to_be():
    counts = {page: sum(marked for _, marked in printed((ROOT / page).read_text())) for page in PAGES}
    assert {page: count for page, count in counts.items() if count} == MARKED


def test_commands_are_found_wherever_they_stand():
    page = """
Run `snakemake all --cores 2`, not `snakemake` or `--cores 2`; `curl -O x` has an option, `two words` have
none, ``a ` b`` is a tick.
`scontrol show
config` goes over a line. <!-- not run by tests: needs a network -->`pip install x`, and
<!-- a remark -->`make demo`.

```yaml
slug: snakemake --cores 2
```

<!-- not run by tests: needs a cluster -->
```sh
sbatch job
```

<!-- not run by tests: too slow -->
```
make test && \\
  make lint  # `both`
cat <<'END' |
{
END
  wc

```

    make lint
make ends meet
snakemake -n
"""
    found = list(printed(page))
    block = "make test && \\\n  make lint  # `both`\ncat <<'END' |\n{\nEND\n  wc\n\n"
    assert [text for text, marked in found if marked] == ["pip install x", "sbatch job\n"]
    assert [text for text, marked in found if not marked] == [
        "snakemake all --cores 2",
        "curl -O x",
        "scontrol show config",
        "make demo",
        block,
        "make lint",
        "snakemake -n",
    ]
    assert list(commands(block)) == ["make test && \\\n  make lint  # `both`", "cat <<'END' |\n{\nEND\n  wc"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("snakemake --cores 8 --resources gpu=1 results/figures/all", "ValueError"),
        ("snakemake --cores 2 --config scale=quick results/quick/figures/all", "Invalid config definition"),
        ("snakemake --cores 2 results/figures/al", "MissingRuleException"),
        ("snakemake --cores 2 cifar10_asha --config skip=[cifar10_asha/classik]", "did you mean classic"),
        ('sbatch --mem=4G --wrap "snakemake --resources gpu=1 all"', "ValueError"),
        ("srun --gpus=1 python -m reprise plan cifar10_ash", "did you mean cifar10_asha"),
        ("sallocate --gpus=1", "sallocate: command not found"),
        (
            "pip install a-package-of-the-network",
            "No matching distribution|command not found|externally-managed",
        ),
        ("python -m reprise rums cifar10_asha", "no verb rums; did you mean runs"),
        ("python -m reprise runs --skip cifar10_asha/classic cifar10_asha", "REPORT is required"),
        ("python -m reprise data fetch cifar1000 && true\ntrue", "did you mean cifar100"),
        ("python -m reprise runs cifar10_ash | sort", "did you mean cifar10_asha"),
        ("python tests/bench/bench.py --part profile decoding", "invalid choice: 'decoding'"),
        ("make demmo", "No rule to make target"),
        ("bash .ci/runs", "No such file"),
        ("tail -f results/logs/train_nothing.log", "No such file"),
        ("python -m reprise table <slug> <item>", "syntax error"),
        ("echo 30 5  # 30 4", "not {'30 4'}"),
    ],
)
def test_what_does_not_work_is_refused(command: str, message: str, reader: Reader):
    assert re.search(message, reader.run(command))
