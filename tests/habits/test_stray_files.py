"""What editors, desktops and network drives leave beside the files of a project is passed over everywhere."""

import io
import shutil
import sys
import tarfile
import types
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from PIL import Image

from mini import convolution, mini
from reprise import extensions
from reprise.cli import main
from reprise.errors import RepriseError
from reprise.folders import is_stray, listing, tree
from reprise.reports.report import Report, report_files
from reprise.results.cache import FolderCache, write_sums
from reprise.site.build import Site
from reprise.workflow import programme

LOCK, SWAP, AUTOSAVE, BACKUP = ".#{}", ".{}.swp", "#{}#", "{}~"
BESIDE = (
    LOCK,
    SWAP,
    AUTOSAVE,
    BACKUP,
    "._{}",
    "~${}",
    "{}___jb_tmp___",
    ".~lock.{}#",
    ".nfs0000{}",
    ".{}.kate-swp",
)
"""Names that stand beside a file of some name."""
ALONE = (
    ".DS_Store",
    "Thumbs.db",
    "thumbs.db",
    "ehthumbs.db",
    "Desktop.ini",
    "Icon\r",
    ".directory",
    ".fuse_hidden01",
)
FOLDERS = (
    *("__MACOSX", "@eaDir", ".ipynb_checkpoints", "__pycache__", ".git", ".Trash-1000", ".AppleDouble"),
    *("$RECYCLE.BIN", "System Volume Information", "lost+found", "#recycle", "#snapshot", "@Recycle"),
)
RUBBISH = b"\0\5\x16\7\xff\xfe{"


def litter(folder: Path) -> Path:
    """Leave everything beside each file in a folder and below it. Nothing of it is to be read."""
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        for form in BESIDE:
            stray = file.with_name(form.format(file.name))
            if form == LOCK:
                stray.symlink_to("someone@host.1234:5678")
            else:
                stray.write_bytes(RUBBISH)
        file.with_name(f"gone-{file.name}").symlink_to("nowhere")
    for inside in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        for name in ALONE:
            (inside / name).write_bytes(RUBBISH)
        for name in FOLDERS:
            (inside / name).mkdir()
            for file in [path for path in inside.iterdir() if path.is_file() and not is_stray(path.name)]:
                (inside / name / file.name).write_bytes(RUBBISH)
                (inside / name / f"{file.stem}-checkpoint{file.suffix}").write_bytes(RUBBISH)
    return folder


@pytest.mark.parametrize("name", [*(form.format("tiny.yaml") for form in BESIDE), *ALONE, *FOLDERS])
def test_names_that_are_passed_over(name):
    assert is_stray(name)
    assert is_stray(f"a/{name}/tiny.yaml")


@pytest.mark.parametrize(
    "name",
    [
        *("tiny.yaml", "a#b.yaml", "#1.yaml", "~tiny.yaml", "a~b", "Thumbs.dbx", "desktop.yaml", "macosx"),
        *("@home", "icon", "x.swp.yaml", "-x", "a b", "ü 漢字", "./a/../b", "/a/b", "lost+found.yaml"),
    ],
)
def test_names_that_are_not(name):
    assert not is_stray(name)


def test_a_folder_and_what_is_below_it(tmp_path):
    for name in ("b/2.txt", "b/1.txt", "a.txt", "c/d/3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    wanted = [tmp_path / name for name in ("a.txt", "b", "c")]
    files = [tmp_path / name for name in ("a.txt", "b/1.txt", "b/2.txt", "c/d/3.txt")]
    assert listing(tmp_path) == wanted
    assert list(tree(tmp_path)) == files
    litter(tmp_path)
    (tmp_path / "round").symlink_to(tmp_path)  # a link to a folder: it would never end
    assert listing(tmp_path) == [*wanted, tmp_path / "round"]
    assert list(tree(tmp_path)) == files


# Reports


@pytest.fixture
def reports(tmp_path):
    """A report in a file, and one in a folder."""
    folder = tmp_path / "reports"
    (folder / "two").mkdir(parents=True)
    report = mini(convolution(), {"base": {}})
    del report["slug"]
    (folder / "one.yaml").write_text(yaml.safe_dump(report))
    keys = list(report)
    for number, part in enumerate((keys[:3], keys[3:])):
        (folder / "two" / f"{number}.yaml").write_text(yaml.safe_dump({key: report[key] for key in part}))
    return folder


def test_reports(reports, capsys):
    before = report_files(reports)
    stamps = [Report(path).stamp for path in before.values()]
    assert list(before) == ["one", "two"]
    litter(reports)
    assert report_files(reports) == before
    assert [Report(path).stamp for path in before.values()] == stamps
    main(["check", *map(str, before.values())])
    assert "two" in capsys.readouterr().out


def test_a_report_whose_files_are_gone(reports):
    for file in (reports / "two").iterdir():
        file.unlink()
    (reports / "two/0.yaml").symlink_to("nowhere")
    (reports / "two/._1.yaml").write_bytes(RUBBISH)
    assert list(report_files(reports)) == ["one"]
    with pytest.raises(RepriseError, match=r"two: no report files \(\*.yaml\) in this folder"):
        Report(reports / "two")
    assert report_files(reports / "nowhere") == {}


def test_an_open_editor_draws_no_figure_again(tmp_path, monkeypatch):
    """The digest of the code that draws: Snakemake makes all figures again when it changes."""
    room = Path(programme.__file__).parents[1] / "publishing"
    shutil.copytree(room, tmp_path / "publishing", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(programme, "__file__", str(tmp_path / "workflow/programme.py"))
    before = programme.Programme._code("publishing")
    litter(tmp_path / "publishing")
    assert programme.Programme._code("publishing") == before
    with (tmp_path / "publishing/words.py").open("a") as file:
        file.write("# another word\n")
    assert programme.Programme._code("publishing") != before


# Results of others


def test_run_caches(tmp_path):
    run = f"{'0' * 12}-{'1' * 8}.json.xz"
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / run).write_bytes(b"-")
    before = FolderCache(tmp_path).names()
    assert [len(entries) for entries in before.values()] == [1]
    write_sums(tmp_path)
    sums = (tmp_path / "SHA256SUMS").read_text()
    litter(tmp_path)
    assert FolderCache(tmp_path).names() == before
    write_sums(tmp_path)
    assert (tmp_path / "SHA256SUMS").read_text() == sums


def test_exported_runs(tmp_path):
    from reprise.evaluation import import_runs  # with torch

    exported = tmp_path / "exported"
    exported.mkdir()
    litter(exported)
    with pytest.raises(RepriseError, match="exported: holds no exported run; give the folder"):
        import_runs(exported, tmp_path / "runs", synthetic=True)
    (exported / "zzz").mkdir()
    with pytest.raises(RepriseError, match="exported/zzz: holds no exported run"):
        import_runs(exported, tmp_path / "runs", synthetic=True)


def packed(folder: Path, form: str) -> Path:
    """A folder with links to nowhere left out, as archivers store them."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    archive = folder.parent / f"x.{form}"
    if form == "zip":
        with zipfile.ZipFile(archive, "w") as made:
            for file in files:
                made.write(file, str(file.relative_to(folder)).replace("/", "\\"))
    else:
        with tarfile.open(archive, "w:" + form.removeprefix("tar").removeprefix(".")) as made:
            for file in files:
                made.add(file, file.relative_to(folder))
    return archive


@pytest.mark.parametrize("form", ["folder", "zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_images_of_kaggle(form, tmp_path):
    from reprise.evaluation import submission  # with torch

    folder = tmp_path / "test images"
    (folder / "test").mkdir(parents=True)
    for number in (1, 2, 3):
        content = io.BytesIO()
        Image.new("RGB", (32, 32), (number, 0, 0)).save(content, "PNG")
        (folder / "test" / f"{number}.png").write_bytes(content.getvalue())
    litter(folder)
    thumbnail = folder / "test/@eaDir/4.png/SYNOPHOTO_THUMB_M.png"
    thumbnail.parent.mkdir()
    shutil.copy(folder / "test/1.png", thumbnail)
    archive = folder if form == "folder" else packed(folder, form)
    found = dict(submission._images(archive, 3, (32, 32)))
    assert {number: int(pixels[0, 0, 0]) for number, pixels in found.items()} == {1: 1, 2: 2, 3: 3}


# The site


def test_what_a_network_drive_has_put_into_the_site_stays(tmp_path):
    """Its files belong to another user, and the drive makes them again."""
    site = tmp_path / "site"
    (site / "old").mkdir(parents=True)
    for name in ("index.html", "old/page.html"):
        (site / name).write_text("-")
    (site / "@eaDir/index.html").mkdir(parents=True)
    (site / "@eaDir/index.html/x").write_text("-")
    (site / "old/.DS_Store").write_text("-")
    (site / "gone.html").symlink_to("nowhere")
    (site / "elsewhere").symlink_to(tmp_path)
    Site._sweep(types.SimpleNamespace(folder=site, _written={site / "index.html"}))
    assert sorted(str(path.relative_to(site)) for path in site.rglob("*")) == [
        *("@eaDir", "@eaDir/index.html", "@eaDir/index.html/x", "index.html", "old", "old/.DS_Store"),
    ]


# Installed packages


def test_extensions_on_a_drive_of_macos(tmp_path, monkeypatch):
    """An environment on an exFAT drive has an AppleDouble file beside each file and folder."""
    info = tmp_path / "petals-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: petals\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[reprise.metrics]\nbalanced_accuracy = petals:METRIC\n")
    (tmp_path / "._petals-1.0.dist-info").write_bytes(RUBBISH)
    litter(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert [each.value for each in entry_points(group="reprise.metrics")] == ["petals:METRIC"]
    assert "balanced_accuracy" in list(extensions.METRICS)
