"""What the environment of a user, a notebook, a cluster or another project has left in the way."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from project import ROOT, Project, new_project, runs_of

from made_up import write_results
from reprise.download import download
from reprise.errors import RepriseError
from reprise.interpreter import import_mistake
from reprise.reports.report import Report
from reprise.workflow.config import LEFT_OVER, Config, check_checkout, job_environment

JUNK = "raise RuntimeError('imported in the place of what is meant')\n"


def drawn(project: Project) -> None:
    """Results of all runs, made up, with the stamps that tell Snakemake so."""
    report = Report(project / "workflow/reports/mini.yaml", "demo")
    runs = [run for name in report.experiments for cell in report.all_cells(name) for run in cell.runs]
    write_results(report, project / "results/demo/runs", runs)
    for run in runs:
        for stamp in ("trained.json", "evaluated.json"):
            (project / "results/demo/runs" / run / stamp).write_text("{}")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = new_project(tmp_path_factory.mktemp("left over"))
    drawn(folder)
    assert len(runs_of(folder, "rates")) == 2
    return folder


def environment(**changes: str | None) -> dict[str, str]:
    changed = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), **changes}
    return {name: value for name, value in changed.items() if value is not None}


def reprise(
    folder: Path, *words: str, changes: Mapping[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reprise", *words]
    return subprocess.run(
        command, cwd=folder, env=environment(**(changes or {})), capture_output=True, text=True, timeout=120
    )


FIGURE = ("figure", "mini", "curves", "--scale", "demo")


@pytest.mark.parametrize(
    "changes",
    [
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"MPLBACKEND": "no_such_backend", "MPLCONFIGDIR": "/proc/none", "DISPLAY": ":99", "NO_COLOR": "1"},
        {"MPLBACKEND": "TkAgg", "HOME": None, "TMPDIR": "/none", "TZ": "none/none", "LC_ALL": "C",
         "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "COLUMNS": "many", "SOURCE_DATE_EPOCH": "never",
         "OMP_NUM_THREADS": "many", "PYTHONIOENCODING": "ascii", "CUDA_VISIBLE_DEVICES": ""},
    ],
    ids=["jupyter", "unknown", "everything"],
)  # fmt: skip
def test_a_figure_is_the_same_whatever_is_left_in_the_environment(
    project: Project, changes: Mapping[str, str | None]
):
    results = project / "results/demo/figures/mini"
    if not (results / "curves.svg").exists():
        assert reprise(project, *FIGURE, changes={"MPLBACKEND": None}).returncode == 0
    before = {file.name: file.read_bytes() for file in results.iterdir()}
    done = reprise(project, *FIGURE, changes=changes)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert {file.name: file.read_bytes() for file in results.iterdir()} == before


@pytest.mark.workflow
@pytest.mark.timeout(300)
def test_a_job_finds_this_python_and_this_project_and_nothing_else(project: Project, tmp_path: Path):
    """Another python first in PATH by BASH_ENV and as a function, modules of the checkout's own, another
    project in PYTHONPATH, a backend of Jupyter's.
    """
    other = tmp_path / "other"
    other.mkdir()
    (other / "python").write_text("#!/bin/sh\necho 'No module named yaml' >&2; exit 1\n")
    (other / "python").chmod(0o755)
    (other / "reprise").mkdir()  # of another checkout, which the environment has
    (other / "reprise/__init__.py").write_text(JUNK)
    (tmp_path / "bash_env").write_text(f'export PATH="{other}:$PATH"\n')
    names = ("random", "difflib", "uuid", "pydantic", "matplotlib", "torch", "numpy", "csv", "html")
    for name in names:
        (project / f"{name}.py").write_text(JUNK)
    changes = {
        "BASH_ENV": str(tmp_path / "bash_env"),
        "BASH_FUNC_python%%": "() {  echo 'the function' >&2; exit 1\n}",
        "PATH": f"{other}:{os.environ['PATH']}",
        "PYTHONPATH": str(other),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "TMPDIR": "/none",
        "COLUMNS": "1",
    }
    target = "results/demo/statements/mini.json"
    words = ["-P", "-m", "snakemake", "--cores", "1", target, "--config", "scale=demo", "train=no"]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=project,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
    )
    for name in names:
        (project / f"{name}.py").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((project / target).read_text())["statements"]


def test_what_a_job_is_started_with(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "environ", dict.fromkeys(LEFT_OVER, "x") | {"PATH": "/x", "PYTHONPATH": "/torch"})
    job_environment(Config(), Path("/checkout/src"), [])
    assert not set(LEFT_OVER) & os.environ.keys()
    assert os.environ["PATH"] == f"{Path(sys.executable).parent}:/x"
    assert (os.environ["PYTHONPATH"], os.environ["PYTHONSAFEPATH"]) == ("/checkout/src", "1")


@pytest.mark.parametrize("beside", ["none", "another"])
def test_a_python_that_jobs_would_not_find_is_named_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: str
):
    python = tmp_path / "python3"
    python.symlink_to(sys.executable)
    if beside == "another":
        (tmp_path / "python").write_text("#!/bin/sh\n")
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(RepriseError, match=r"jobs run .*/python, which is not there or not the python3 that"):
        check_checkout(Path("/a"))
    check_checkout(Path("/a"), own_python=False)
    (tmp_path / "python").unlink(missing_ok=True)
    (tmp_path / "python").symlink_to("python3")
    check_checkout(Path("/a"))


# ---- modules of other people ----


def test_files_of_the_working_folder_are_no_modules(tmp_path: Path):
    """But those that Python itself imports before it comes to the project."""
    for name in sys.stdlib_module_names - set(sys.modules) | {
        "random",
        "enum",
        "typing",
        "yaml",
        "numpy",
        "cyclopts",
    }:
        if name not in ("runpy", "this", "antigravity"):
            (tmp_path / f"{name}.py").write_text(JUNK)
    done = reprise(tmp_path, "runs", "mini", "--reports", str(ROOT / "workflow/reports"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("reprise: no report mini in ")


def test_a_working_folder_that_is_no_more(tmp_path: Path):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"rmdir {gone}; exec {sys.executable} -m reprise runs mini"
    done = subprocess.run(["sh", "-c", command], cwd=gone, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("reprise: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("yaml", JUNK), ("yaml", ""), ("cyclopts", JUNK), ("cyclopts", "App = None\n"), ("random", JUNK),
        ("numpy", "1 +\n"), ("pydantic/__init__", "from pydantic import gone\n"),
        ("difflib", "import os.gone\n"),
    ],
)  # fmt: skip
def test_a_module_from_pythonpath_that_fails_is_named(tmp_path: Path, name: str, text: str):
    file = tmp_path / "other" / f"{name}.py"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    paths = os.pathsep.join([str(tmp_path / "other"), str(ROOT / "src")])
    verb = ["data", "decode", "cifar10"] if name in ("numpy", "random") else ["runs", "mini"]
    words = [*verb, *(["--reports", str(ROOT / "workflow/reports")] if verb[0] == "runs" else [])]
    done = reprise(tmp_path, *words, changes={"PYTHONPATH": paths})
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    if "taken for" in done.stderr:
        assert done.stderr.startswith(
            f"reprise: {file}: taken for {name.partition('/')[0]}, because PYTHONPATH"
        )
    else:  # it was not needed
        assert "no report mini" in done.stderr or "not found; fetch it first" in done.stderr


def test_a_python_without_the_projects_packages_says_what_to_do(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-S", "-m", "reprise", "runs", "mini"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert f"{sys.executable}: this Python has no module cyclopts; activate" in done.stderr


def test_errors_of_ones_own_code_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "our_own_kind.py").write_text("def draw():\n    raise ValueError('ours')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    import our_own_kind

    with pytest.raises(ValueError, match="ours") as caught:
        our_own_kind.draw()
    assert import_mistake(caught.value) is None
    assert import_mistake(KeyError("x")) is None


# ---- certificates and proxies ----


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(407 if "http://" in self.path else 404)

    do_CONNECT = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def refused(tmp_path: Path, url: str) -> str:
    with pytest.raises(RepriseError) as error:
        download(url, tmp_path / "file.part", 100, attempts=1, timeout_s=(1, 1), show=False)
    return str(error.value)


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), ("", "no certificates"), ("text", "no certificates")],
)
def test_certificates_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, name: str, content: str | None, reason: str
):
    bundle = tmp_path / "corporate ca.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(name, str(bundle))
    line = refused(tmp_path, f"https://{server}/x")
    assert (
        line == f"{name}={bundle}: {reason}; correct that variable, or unset it to use the usual certificates"
    )
    assert "HTTP 404" in refused(tmp_path, f"http://{server}/x"), "where no certificate is needed"


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize(
    ("name", "proxy", "url"),
    [
        ("http_proxy", "http://127.0.0.1:1", "http://192.0.2.1/x"),
        ("HTTPS_PROXY", "http://127.0.0.1:1", "https://192.0.2.1/x"),
        ("ALL_PROXY", "http://me:secret@127.0.0.1:1", "http://192.0.2.1/x"),
        ("http_proxy", "http://", "http://192.0.2.1/x"),
        ("https_proxy", "http://:x", "https://192.0.2.1/x"),
        ("https_proxy", "socks5://127.0.0.1:1", "https://192.0.2.1/x"),
        ("https_proxy", "gopher://127.0.0.1:1", "https://192.0.2.1/x"),
        ("https_proxy", "http://{server}", "https://192.0.2.1/x"),
    ],
)
def test_a_proxy_that_leads_nowhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, name: str, proxy: str, url: str
):
    monkeypatch.setenv(name, proxy.format(server=server))
    line = refused(tmp_path, url)
    assert line.startswith("cannot get through the proxy ")
    assert f" of {name} (" in line
    assert line.endswith("; correct or unset that variable")
    assert "secret" not in line
