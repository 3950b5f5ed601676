"""The image's Dockerfile, which no engine builds here: what a linter would say of it. The catalog's entry.

Each rule is tried on a Dockerfile that breaks it.
"""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "envs/Dockerfile").read_text()
INSTRUCTIONS = {
    "FROM",
    "ENV",
    "RUN",
    "WORKDIR",
    "COPY",
    "USER",
    "CMD",
    "LABEL",
    "ARG",
    "ENTRYPOINT",
    "EXPOSE",
}


def instructions(text):
    """(instruction, its arguments in one line), in order."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def faults(text):
    """What is wrong with a Dockerfile of this project."""
    found, parsed = [], instructions(text)
    names = [name for name, *_ in parsed]

    def of(name):
        return [" ".join(rest) for each, *rest in parsed if each == name]

    found += [f"unknown instruction {name}" for name in names if name not in INSTRUCTIONS]
    if names[:1] != ["FROM"]:
        found.append("does not begin with FROM")
    for image in of("FROM"):
        if not re.fullmatch(r"[a-z./-]+:\d+\.\d+\.\d+-[a-z-]+", image):
            found.append(f"{image}: no exact version")
    python = re.search(r"python:(\d+\.\d+)", " ".join(of("FROM")))
    if not python or f"python={python[1]}" not in (ROOT / "envs/environment.yaml").read_text():
        found.append("another Python than conda's")
    if not of("USER") or of("USER")[-1] in ("root", "0"):
        found.append("runs as root")
    elif not any(f"useradd --uid 1000 --create-home {of('USER')[-1]}" in line for line in of("RUN")):
        found.append("runs as a user that nobody made")
    if names[-1:] != ["CMD"] or ("USER" in names and names.index("CMD") < names.index("USER")):
        found.append("does not end with CMD")
    for line in of("CMD") + of("ENTRYPOINT"):
        try:
            assert all(isinstance(word, str) for word in json.loads(line))
        except (ValueError, AssertionError):
            found.append(f"{line}: a shell stands between the program and its signals")
    for line in of("RUN"):
        if subprocess.run(["bash", "-n"], input=line, text=True, capture_output=True).returncode:
            found.append(f"{line}: no shell command")
            continue
        if "sudo" in line or re.search(r"(curl|wget)\b.*\|", line):
            found.append(f"{line}: sudo, or a script from the network")
        if "apt-get install" in line and not ("--no-install-recommends" in line and "lists" in line):
            found.append(f"{line}: leaves what apt-get downloads")
        for command in re.findall(r"pip install[^&|;]*", line):
            words = shlex.split(command)
            if "--no-cache-dir" not in words or "envs/constraints.txt" not in words:
                found.append(f"{command}: without the pins, or keeps its downloads")
    if not any("pip install" in line for line in of("RUN")):
        found.append("installs nothing")
    if any(not place.startswith("/") for place in of("WORKDIR")):
        found.append("a WORKDIR that depends on others")
    for line in of("COPY"):
        sources = [word for word in shlex.split(line)[:-1] if not word.startswith("--")]
        found += [f"{source}: not there" for source in sources if not (ROOT / source).exists()]
        found += [f"{source}: outside what the engine is sent" for source in sources if not is_sent(source)]
    return found


def is_sent(source):
    """Whether the ignore file lets a path through: the last line that matches decides."""
    sent = False
    for line in (ROOT / "envs/Dockerfile.dockerignore").read_text().splitlines():
        pattern = line.lstrip("!")
        parts, wanted = source.split("/"), pattern.split("/")
        hit = (
            pattern == "*"
            or wanted == parts[: len(wanted)]
            or (pattern == "results/*" and "results/" in source)
        )
        if line and not line.startswith("#") and hit:
            sent = line.startswith("!")
    return sent


def test_the_dockerfile_is_clean():
    assert faults(DOCKERFILE) == []


BREAKS = {
    "latest": (r"FROM .*", "FROM python:latest", "no exact version"),
    "no version": (r"FROM .*", "FROM python", "no exact version"),
    "another Python": (r"FROM python:3\.11", "FROM python:3.9", "another Python than conda's"),
    "root": (r"USER reprise", "USER root", "runs as root"),
    "no user": (r"USER reprise\n", "", "runs as root"),
    "a user that is not made": (r"USER reprise", "USER nobody2", "nobody made"),
    "no pins": (r"--constraint envs/constraints.txt ", "", "without the pins"),
    "keeps downloads": (r"--no-cache-dir ", "", "keeps its downloads"),
    "a shell": (r"CMD .*", "CMD snakemake --help", "a shell stands between"),
    "no command": (r"CMD .*", "", "does not end with CMD"),
    "sudo": (r"RUN pip", "RUN sudo pip", "sudo"),
    "a script": (r"RUN pip", "RUN curl -s https://example.org/x | sh && pip", "script from the network"),
    "apt": (r"RUN pip", "RUN apt-get install git && pip", "leaves what apt-get downloads"),
    "a quote": (r'"\.\[workflow\]"', '".[workflow]', "no shell command"),
    "a file that is not there": (r"COPY src src", "COPY source src", "source: not there"),
    "a file that is not sent": (r"COPY src src", "COPY tests src", "outside what the engine is sent"),
    "results that are not sent": (
        r"COPY src src",
        "COPY results/reference src",
        "outside what the engine is",
    ),
    "relative": (r"WORKDIR /reprise", "WORKDIR reprise", "depends on others"),
    "a misspelt word": (r"WORKDIR", "WORKDIRR", "unknown instruction WORKDIRR"),
    "nothing": (r"RUN pip.*", "", "installs nothing"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_wrong_is_found(name):
    pattern, replacement, message = BREAKS[name]
    broken, count = re.subn(pattern, replacement, DOCKERFILE)
    assert count
    assert any(message in fault for fault in faults(broken)), faults(broken)


def test_without_an_engine_one_line_says_so(tmp_path):
    """An engine that is there and does not run, and none at all."""
    for name in ("bash", "sh", "make", "env"):
        (tmp_path / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
    for engine in (None, "docker"):
        if engine:
            (tmp_path / engine).write_text("#!/bin/sh\necho cannot connect >&2\nexit 1\n")
            (tmp_path / engine).chmod(0o755)
        done = made_image(tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            "neither Docker nor Podman runs here: no image is built\n",
            "",
        )


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_an_engine_that_runs_builds_it(tmp_path, engine):
    for name in ("bash", "sh", "make", "env"):
        (tmp_path / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
    (tmp_path / engine).write_text('#!/bin/sh\n[ "$1" = info ] || echo "$@"\n')
    (tmp_path / engine).chmod(0o755)
    assert made_image(tmp_path).stdout == "build --file envs/Dockerfile --tag reprise .\n"


def made_image(path):
    return subprocess.run(
        ["make", "image"], cwd=ROOT, env={"PATH": str(path)}, capture_output=True, text=True
    )


# ---- the Snakemake workflow catalog ----


def test_the_entry_in_the_catalog_says_what_the_workflow_can():
    entry = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    shells, environments = (
        len(re.findall(rf"^    {key}:$", rules, re.MULTILINE)) for key in ("shell", "conda")
    )
    assert entry == {
        "usage": {
            "mandatory-flags": {"desc": entry["usage"]["mandatory-flags"]["desc"], "flags": ""},
            "software-stack-deployment": {
                "conda": shells == environments > 0,
                "apptainer": "container:" in rules,
                "apptainer+conda": False,
                "report": "report(" in rules,
            },
        }
    }
    readme = (ROOT / "README.md").read_text().lower()
    assert all(word in readme for word in ("snakemake", "workflow")), "by which the catalog finds it"


def test_git_leaves_snakemakes_report_out():
    for name, ignored in (
        ("report.html", 0),
        ("report.zip", 0),
        ("src/reprise/site/templates/report.html", 1),
    ):
        asked = subprocess.run(["git", "check-ignore", "--no-index", "-q", name], cwd=ROOT, check=False)
        assert asked.returncode == ignored, name
