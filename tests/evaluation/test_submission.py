"""Kaggle's test archive → `id,label`, in bounded memory."""

import gc
import io
import shutil
import sys
import tarfile
import tracemalloc
import types
import zipfile
from functools import partial

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from reprise.cli import main
from reprise.data.catalog import OWN_DATASETS
from reprise.data.decode import load
from reprise.errors import RepriseError
from reprise.evaluation import evaluate, submission
from reprise.evaluation.submission import best_run, write_submission
from reprise.training import parts
from reprise.training.engine import train
from tiny import SPEC, edit_dataset, record_run, tiny_run, write_dataset

CLASSES = list(OWN_DATASETS["cifar10"].classes["label"])
RUN = tiny_run(
    dataset__labels="label", model__layers=[{"flatten": True}, {"dense": "classes"}], training__epochs=4
)
COUNT = 40


def ten_classes(folder):
    """The tiny data set with CIFAR-10's classes: each is a grey level and a tint of its own."""
    write_dataset(folder, train=200, test=COUNT)
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (10, 3, 1, 1))
    for split, count in (("train", 200), ("test", COUNT)):
        labels = rng.integers(10, size=count)
        images = colours[labels] + rng.normal(0, 60, (count, 3, 12, 12))
        np.save(folder / f"{split}_images.npy", images.clip(0, 255).astype(np.uint8))
        np.save(folder / f"{split}_labels.npy", labels[:, None].astype(np.uint8))
    edit_dataset(folder, label_kinds=["label"], classes={"label": CLASSES})
    return folder


@pytest.fixture(scope="module")
def dirs(tmp_path_factory):
    return {"cifar10": ten_classes(tmp_path_factory.mktemp("data"))}


@pytest.fixture(scope="module")
def cache(dirs, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    train([RUN], dataset_dirs=dirs, cache=cache, device="cpu")
    evaluate([RUN], dirs, cache, device="cpu")
    return cache


@pytest.fixture(scope="module")
def test_images(dirs):
    return load(dirs["cifar10"]).splits["test"].images


@pytest.fixture(scope="module")
def expected(cache):
    """What the evaluation predicted for the same images."""
    table = pd.read_parquet(cache / RUN.hash / "predictions.parquet").sort_values("image")
    assert table["predicted"].nunique() >= 5
    return "id,label\n" + "".join(
        f"{image + 1},{CLASSES[label]}\n"
        for image, label in zip(table["image"], table["predicted"], strict=True)
    )


@pytest.fixture
def submit(dirs, cache, tmp_path):
    """Write a submission for an archive; its text."""

    def submit(archive, images=COUNT, run=RUN):
        write_submission(
            run, archive, tmp_path / "out.csv", dataset_dirs=dirs, cache=cache, images=images, device="cpu"
        )
        return (tmp_path / "out.csv").read_text()

    return submit


def png(pixels, mode="RGB", **options):
    """A PNG file of pixels (3, H, W)."""
    file = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).convert(mode).save(file, "PNG", **options)
    return file.getvalue()


@pytest.fixture
def files(test_images):
    """Name → content, in an order that is neither that of the ids nor that of their text."""
    order = np.random.default_rng(1).permutation(COUNT)
    return {f"test/{index + 1}.png": png(test_images[index]) for index in order}


def pack(kind, place, files):
    """An archive of `kind` that holds `files`, a mapping or a list of pairs; its path."""
    pairs = list(files.items() if isinstance(files, dict) else files)
    path = place / f"archive{kind}"
    if kind == "":
        for name, content in pairs:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    elif kind == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in pairs:
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if kind.endswith("gz") else "w") as archive:
            for name, content in pairs:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


KINDS = ["", ".zip", ".tar", ".tar.gz", ".tgz"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [16, 7281], ids=["in batches", "at once"])
def test_labels_are_those_of_the_evaluation(submit, files, expected, tmp_path, monkeypatch, kind, batch):
    monkeypatch.setattr(parts, "EVALUATION_PIXELS", batch * 12**2)
    extra = {
        "__MACOSX/test/._1.png": b"attributes",
        ".DS_Store": b"",
        "readme.txt": b"",
        "test/.hidden.png": b"",
    }
    assert submit(pack(kind, tmp_path, {**extra, **files})) == expected


def test_upper_case_and_flat_archives(submit, files, expected, tmp_path):
    flat = {name.removeprefix("test/").replace("png", "PNG"): content for name, content in files.items()}
    assert submit(pack(".ZIP".lower(), tmp_path, flat).rename(tmp_path / "TEST.ZIP")) == expected


def test_a_seven_zip_archive(submit, files, expected, tmp_path):
    py7zr = pytest.importorskip("py7zr")
    path = tmp_path / "test.7z"
    with py7zr.SevenZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writef(io.BytesIO(content), name)
    assert submit(path) == expected
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        RepriseError,
        match=r"test.7z: py7zr cannot unpack it \(.+\); get it again, or unpack it \(7z x test.7z\)",
    ):
        submit(path)


def test_a_seven_zip_archive_without_its_reader(submit, tmp_path, monkeypatch):
    (tmp_path / "test.7z").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "py7zr", None)
    expected = (
        r"test.7z: reading a .7z needs py7zr; pip install py7zr, or unpack it \(7z x test.7z\) and "
        r"give the folder"
    )
    with pytest.raises(RepriseError, match=expected):
        submit(tmp_path / "test.7z")


def test_a_seven_zip_archive_goes_through_a_folder_that_is_removed(
    submit, files, expected, tmp_path, monkeypatch
):
    """A stand-in for py7zr, where it is not installed: it unpacks what `files` holds."""
    folders = []

    class SevenZipFile:
        def __init__(self, path):
            assert path == tmp_path / "test.7z"

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def list(self):
            return []

        def extractall(self, folder):
            folders.append(pack("", type(tmp_path)(folder), files).parent)

    monkeypatch.setitem(sys.modules, "py7zr", types.SimpleNamespace(SevenZipFile=SevenZipFile))
    (tmp_path / "test.7z").write_bytes(b"")
    assert submit(tmp_path / "test.7z") == expected
    assert not folders[0].exists()

    def fail(self, folder):
        raise EOFError("Compressed file ended")

    monkeypatch.setattr(SevenZipFile, "extractall", fail)
    with pytest.raises(
        RepriseError,
        match=r"test.7z: py7zr cannot unpack it \(EOFError: Compressed file ended\); get it again",
    ):
        submit(tmp_path / "test.7z")


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "1"])
def test_other_modes_are_converted(submit, test_images, tmp_path, mode):
    """The label is that of the same pixels as a plain RGB image."""
    content = png(test_images[0], mode)
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == mode
        plain = io.BytesIO()
        image.convert("RGB").save(plain, "PNG")
    rows = submit(
        pack(".tar", tmp_path, {"1.png": content, "2.png": plain.getvalue()}), images=2
    ).splitlines()
    assert rows[1].partition(",")[2] == rows[2].partition(",")[2]


def test_pixels_reach_the_network_as_they_are(test_images):
    """Channels, rows and columns in their places."""
    found = submission._pixels(png(test_images[3]), "3.png", (12, 12))
    assert np.array_equal(found, test_images[3])
    assert submission._pixels(png(test_images[3][:, :5]), "3.png", (5, 12)).shape == (3, 5, 12)


# ---- mistakes ----


def damaged(content):
    """With a byte of the pixels' data changed."""
    place = content.index(b"IDAT") + 12
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


@pytest.mark.parametrize("kind", ["", ".zip", ".tar.gz"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda files: {"test/7.png": None},
            r"{archive}: lacks 1 of 40 images, the first is 7.png; get the archive again",
        ),
        (
            lambda files: {"other/7.png": files["test/7.png"]},
            r"{archive}: (test|other)/7.png: the second image 7; remove one of them",
        ),
        (
            lambda files: {"test/41.png": files["test/7.png"]},
            r"{archive}: test/41.png: not one of 1.png to 40.png; remove it, or say with",
        ),
        (
            lambda files: {"test/0.png": files["test/7.png"]},
            r"{archive}: test/0.png: not one of 1.png to 40.png",
        ),
        (
            lambda files: {"test/cat.png": files["test/7.png"]},
            r"{archive}: test/cat.png: not one of 1.png to 40.png",
        ),
        (
            lambda files: {"test/7.png": b"<html>"},
            r"{archive}: test/7.png: not a PNG image; get the archive again",
        ),
        (lambda files: {"test/7.png": b""}, r"{archive}: test/7.png: not a PNG image"),
        (
            lambda files: {"test/7.png": files["test/7.png"][:-60]},
            r"{archive}: test/7.png: a damaged PNG \(.+\); get the archive again",
        ),
        (
            lambda files: {"test/7.png": damaged(files["test/7.png"])},
            r"{archive}: test/7.png: a damaged PNG \(.+\); get the archive again",
        ),
        (
            lambda files: {"test/7.png": files["test/7.png"] + bytes(2**20)},
            r"{archive}: test/7.png: more than 1,048,576 bytes, so no image",
        ),
        (
            lambda files: {"test/7.png": png(np.zeros((3, 12, 13), np.uint8))},
            r"{archive}: test/7.png: 13 × 12 pixels, not 12 × 12; get the archive again",
        ),
    ],
    ids=["missing", "twice", "beyond", "zero", "name", "text", "empty", "cut", "damaged", "large", "size"],
)
def test_images_that_do_not_fit(submit, files, tmp_path, kind, change, message):
    changed = {name: content for name, content in {**files, **change(files)}.items() if content is not None}
    archive = pack(kind, tmp_path, changed)
    with pytest.raises(RepriseError, match=message.format(archive=archive)) as error:
        submit(archive)
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.iterdir() if path != archive], "something half-written is left"


def test_no_images_at_all(submit, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RepriseError, match=r"empty: lacks 300,000 of 300,000 images, the first is 1.png"):
        submit(tmp_path / "empty", images=300_000)
    with pytest.raises(RepriseError, match=r"--images 0: the archive must hold at least one image"):
        submit(tmp_path / "empty", images=0)


@pytest.mark.parametrize("kind", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"<html>" * 100, lambda data: b""]
)
def test_damaged_archives(submit, files, tmp_path, kind, damage):
    archive = pack(kind, tmp_path, files)
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(
        RepriseError, match=rf"{archive}: (damaged or cut short \(.+\); get it again|lacks \d+ of 40 images)"
    ) as error:
        submit(archive)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["absent", "absent.zip", "absent.tar.gz", "absent.7z"])
def test_an_archive_that_is_not_there_or_of_another_kind(submit, tmp_path, name):
    expected = r"absent: neither a folder nor .zip, .tar, .tar.gz, .tgz, .*, .7z; give one of these"
    if name != "absent":
        expected = rf"{tmp_path / name}: no such file or folder; check the path"
    with pytest.raises(RepriseError, match=expected):
        submit(tmp_path / name)


def test_runs_that_do_not_fit(submit, files, tmp_path):
    archive = pack(".tar", tmp_path, files)
    untrained = tiny_run(dataset__labels="label")
    with pytest.raises(RepriseError, match=r"run.json: not found; train the run first"):
        submit(archive, run=untrained)
    two = tiny_run(dataset__labels="label", dataset__classes=["cat", "dog"])
    with pytest.raises(
        RepriseError, match=f"run {two.hash}: does not learn the ten classes of cifar10; name another run"
    ):
        submit(archive, run=two)


def test_an_older_submission_stays_when_the_new_one_fails(submit, files, expected, tmp_path):
    assert submit(pack(".tar", tmp_path, files)) == expected
    del files["test/1.png"]
    with pytest.raises(RepriseError, match="lacks 1 of"):
        submit(pack(".tar", tmp_path, files))
    assert (tmp_path / "out.csv").read_text() == expected


def test_pretrained_weights_are_not_needed_again(submit, dirs, cache, files, tmp_path, monkeypatch):
    """The run's own weights hold everything, so a run that came from another machine can label."""
    model = {
        "name": "torchvision",
        "arch": "resnet18",
        "weights": "random",
        "trainable": "head",
        "frozen_mode": "train",
    }
    preprocess = {"normalize": "imagenet", "resize": 32}
    random, pretrained = (
        tiny_run(
            dataset__labels="label",
            model={**model, "weights": weights},
            preprocess=preprocess,
            training__epochs=1,
        )
        for weights in ("random", "imagenet")
    )
    train([random], dataset_dirs=dirs, cache=tmp_path / "cache", device="cpu")
    folder = (tmp_path / "cache" / random.hash).rename(tmp_path / "cache" / pretrained.hash)
    weights = load_file(folder / "weights.safetensors")
    save_file(weights, folder / "weights.safetensors", metadata={"run": pretrained.hash})
    record_run(folder, lambda document: document.update(run=pretrained.hash, spec=pretrained.spec))
    archive = pack(".tar", tmp_path, files)
    out = tmp_path / "out.csv"
    write_submission(
        pretrained, archive, out, dataset_dirs=dirs, cache=tmp_path / "cache", images=COUNT, device="cpu"
    )
    assert len(out.read_text().splitlines()) == COUNT + 1


def test_damaged_weights_label_nothing(cache, dirs, tmp_path, files):
    shutil.copytree(cache, tmp_path / "cache")
    path = tmp_path / "cache" / RUN.hash / "weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    with pytest.raises(
        RepriseError, match=r"weights.safetensors: damaged .*; delete the run's folder and train it again"
    ):
        write_submission(
            RUN,
            pack(".tar", tmp_path, files),
            tmp_path / "out.csv",
            dataset_dirs=dirs,
            cache=tmp_path / "cache",
            images=COUNT,
            device="cpu",
        )
    assert not (tmp_path / "out.csv").exists()


# ---- memory ----


def peak(work):
    """Bytes of Python's memory at most. On a busy machine another thread may allocate beside the work, so
    whoever asks twice takes the smaller.
    """
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "most_per_image"), [("", 50), (".tar", 50), (".tar.gz", 50), (".zip", 600)])
def test_memory_does_not_grow_with_the_archive(submit, tmp_path, monkeypatch, kind, most_per_image):
    """Peak of traced memory for 200 and for 2000 images; one image's pixels are 432 bytes, its PNG has about
    as many.
    """
    monkeypatch.setattr(parts, "EVALUATION_PIXELS", 50 * 12**2)
    contents = [
        png(pixels)
        for pixels in np.random.default_rng(2).integers(256, size=(2000, 3, 12, 12), dtype=np.uint8)
    ]
    peaks = {}
    for count in (20, 200, 2000):  # the first warms up
        (tmp_path / str(count)).mkdir()
        images = ((f"{number}.png", content) for number, content in enumerate(contents[:count], 1))
        archive = pack(kind, tmp_path / str(count), images)
        peaks[count] = min(peak(partial(submit, archive, images=count)) for _ in range(2))
    assert (peaks[2000] - peaks[200]) / 1800 < most_per_image


# ---- which run, and the command line ----


def test_the_best_run_on_the_validation_images(dirs, tmp_path):
    runs = [
        tiny_run(dataset__labels="label", optimizer__lr=rate, training__epochs=2)
        for rate in (1e-12, 0.01, 1e-11)
    ]
    train(runs, dataset_dirs=dirs, cache=tmp_path, device="cpu")
    accuracies = []
    for run in runs:
        history = pd.read_parquet(tmp_path / run.hash / "history.parquet")
        accuracies.append(history[history["split"] == "test"]["accuracy"].max())
    assert accuracies[1] > max(accuracies[0], accuracies[2])
    assert best_run(runs, tmp_path) == runs[1]
    assert best_run(runs[:1], tmp_path) == runs[0]
    missing = tiny_run(dataset__labels="label", seeds__init=7)
    with pytest.raises(
        RepriseError,
        match=f"run {missing.hash}: no result in .*; train it first, or name a trained run with --run",
    ):
        best_run([*runs, missing], tmp_path)


@pytest.fixture
def project(tmp_path):
    """A demo of a report with two runs, trained; the arguments that name it."""
    settings = {key: value for key, value in SPEC.items() if key not in ("engine", "seeds")}
    settings |= {"dataset": {"name": "cifar10", "labels": "label"}, "seeds": [0, 1]}
    document = {"slug": "tiny", "title": "Tiny", "defaults": settings, "experiments": {"base": {}}}
    document["scales"] = {"demo": {}}  # both seeds
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/tiny.yaml").write_text(yaml.safe_dump(document))
    ten_classes(tmp_path / "results/demo/data/cifar10")
    places = [
        "--scale",
        "demo",
        "--results",
        str(tmp_path / "results"),
        "--reports",
        str(tmp_path / "reports"),
        "--device",
        "cpu",
    ]
    main(["train", "tiny", *places])
    return places


def test_command_line(project, files, tmp_path, capsys):
    archive, out = pack(".zip", tmp_path, files), tmp_path / "best.csv"
    arguments = [str(archive), str(out), "--images", str(COUNT), *project]
    main(["submission", "tiny", "--only", "base", *arguments])
    said = capsys.readouterr()
    best = said.out.split("by run ")[1][:12]
    assert said.out.startswith(f"{out}: 40 labels by run {best} (tiny/base, seed ")
    assert said.out.endswith("the best of 2 on the validation images\n")
    assert f"run {best} predicts: tiny/base, seed " in said.err
    assert "predicting: 40/40 image" in said.err
    first = out.read_text()
    main(["submission", "tiny", "--run", best, *arguments])
    assert out.read_text() == first
    assert pd.read_csv(out)["id"].tolist() == list(range(1, COUNT + 1))
    assert set(pd.read_csv(out)["label"]) <= set(CLASSES)


def test_command_line_mistakes(project, files, tmp_path, capsys):
    archive, out = pack(".zip", tmp_path, files), tmp_path / "out.csv"
    for arguments, message in (
        (
            ["--only", "base", str(archive), str(out)],
            f"reprise: {archive}: lacks 299,960 of 300,000 images, the first is 41.png;",
        ),
        (
            ["--only", "bse", str(archive), str(out)],
            "reprise: selector 'bse': no experiment bse; did you mean base?",
        ),
        (["--run", "123456789abc", str(archive), str(out)], "no run 123456789abc at scale demo"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["submission", "tiny", *arguments, *project])
        assert stop.value.code == 1
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["submission", "tiny", str(archive), str(out), *project])
    assert "--run or --only is required" in capsys.readouterr().err
    assert not out.exists()
