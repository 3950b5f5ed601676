import contextlib
import dataclasses
import errno
import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from reprise import download
from reprise.data import catalog, fetch
from reprise.data.archives import RawSplit, read_archive, sidecar_of
from reprise.data.catalog import WeightsFacts
from reprise.data.fetch import add_archive, fetch_dataset, fetch_weights
from reprise.data.synthetic import write_archive, write_synthetic
from reprise.errors import RepriseError


@pytest.fixture
def destination(tmp_path, official):
    return tmp_path / "data" / "archives" / official.facts.file_name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fails(*parts: str, **arguments) -> str:
    """Run `fetch_dataset`, which must fail with one line that holds `parts`."""
    with pytest.raises(RepriseError) as caught:
        fetch_dataset("cifar100", **arguments)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


# Local mirrors


@pytest.mark.parametrize("form", ["{folder}", "{folder}/{name}", "file://{folder}", "file://{folder}/{name}"])
def test_local_mirror(official, destination, form):
    mirror = form.format(folder=official.archive.parent, name=official.archive.name)
    assert fetch_dataset("cifar100", destination, [mirror]) == destination
    assert destination.read_bytes() == official.bytes
    assert names(destination.parent) == [destination.name]


def test_mirrors_are_tried_in_order_after_failures(official, destination, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / official.archive.name).write_bytes(b"not an archive")
    fetch_dataset(
        "cifar100", destination, [str(tmp_path / "absent"), str(wrong), str(official.archive.parent)]
    )
    assert destination.read_bytes() == official.bytes


def test_repacked_archive_passes_by_its_content(official, destination, tmp_path):
    repacked = tmp_path / "repacked" / official.archive.name
    repacked.parent.mkdir()
    repacked.write_bytes(gzip.compress(gzip.decompress(official.bytes), compresslevel=9))
    assert hashlib.md5(repacked.read_bytes()).hexdigest() != official.facts.md5
    fetch_dataset("cifar100", destination, [str(repacked.parent)])
    assert destination.read_bytes() == repacked.read_bytes()


def test_other_content_is_refused_and_removed(official, destination, drawn):
    message = fails(
        "no source worked", "data add", "mirror", destination=destination, mirrors=[str(drawn["cifar100"])]
    )
    assert hashlib.md5(drawn["cifar100"].read_bytes()).hexdigest() in message
    assert official.facts.md5 in message
    assert read_archive(official.facts, drawn["cifar100"])["train"].digest() in message
    assert official.facts.splits["train"].digest in message
    assert names(destination.parent) == []


@pytest.mark.parametrize("name", ["stl10", "cinic10"])
def test_the_official_archive_passes(adopted, tmp_path, name):
    official = adopted(name)
    target = tmp_path / "data" / official.archive.name
    assert fetch_dataset(name, target, [str(official.archive.parent)]) == target
    assert target.read_bytes() == official.bytes


FOUR = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")


def repack(official, path: Path, change=lambda name, content: content) -> Path:
    """The members of an archive in another order, without those that `change` makes None."""
    with tarfile.open(official.archive) as tar:
        members = [(member.name, change(member.name, tar.extractfile(member).read())) for member in tar]
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for name, content in reversed(members):
            if content is not None:
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def test_a_repacked_stl10_passes_by_its_four_members(adopted, tmp_path):
    official = adopted("stl10")
    target = tmp_path / "data" / official.archive.name
    four = repack(
        official,
        tmp_path / "four" / official.archive.name,
        lambda name, content: content if name[13:] in FOUR else None,
    )
    fetch_dataset("stl10", target, [str(four)])
    assert target.read_bytes() == four.read_bytes() != official.bytes
    target.unlink()
    assert add_archive(four, tmp_path / "mine").read_bytes() == four.read_bytes()

    def relabelled(name, content):
        return content[::-1] if name.endswith("test_y.bin") else content

    other = repack(official, tmp_path / "other" / official.archive.name, relabelled)
    found = hashlib.md5(
        relabelled("test_y.bin", member(official.archive, "stl10_binary/test_y.bin"))
    ).hexdigest()
    expected = official.facts.member_md5["stl10_binary/test_y.bin"]
    message = (
        rf"nor a repacked one \(not stl10: MD5 of stl10_binary/test_y.bin is {found}, expected {expected}\)"
    )
    with pytest.raises(RepriseError, match=message):
        fetch_dataset("stl10", target, [str(other)])
    assert names(target.parent) == []


def member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        return tar.extractfile(name).read()


def test_cinic10_is_known_by_its_archive_alone(adopted, tmp_path):
    official = adopted("cinic10")
    target = tmp_path / "data" / official.archive.name
    other = repack(official, tmp_path / "other" / official.archive.name)
    found = hashlib.md5(other.read_bytes()).hexdigest()
    with pytest.raises(
        RepriseError,
        match=rf"not the official file: md5 is {found}, expected {official.facts.md5}; cinic10 is recogni",
    ):
        fetch_dataset("cinic10", target, [str(other)])
    assert names(target.parent) == []


def test_add_says_how_many_images_an_archive_lacks(adopted, tmp_path):
    cinic = adopted("cinic10")
    few = repack(
        cinic,
        tmp_path / "few" / cinic.archive.name,
        lambda name, content: None if "valid/cat" in name else content,
    )
    with pytest.raises(
        RepriseError,
        match=r"CINIC-10.tar.gz: not the official CINIC-10.tar.gz: 18 of 20 validation images; get the "
        r"official",
    ):
        add_archive(few, tmp_path / "data")
    stl = adopted("stl10")

    def shorter(name, content):
        return content[: len(content) // 2] if "/train_" in name else content

    few = repack(stl, tmp_path / "half" / stl.archive.name, shorter)
    with pytest.raises(
        RepriseError,
        match=r"not the official stl10_binary.tar.gz: 15 of 30 training images; get the official",
    ):
        add_archive(few, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_part_of_the_images_is_refused(official, destination, tmp_path):
    """The first image of every class of the official archive, repacked: right form, right pictures, too few
    of them.
    """
    splits = read_archive(official.facts, official.archive)
    few = {}
    for split, raw in splits.items():
        keep = [list(raw.labels[:, 1]).index(label) for label in range(100)]
        few[split] = RawSplit(raw.images[keep], raw.labels[keep], [raw.names[i] for i in keep])
    subset = tmp_path / "subset" / official.archive.name
    write_archive(subset, official.facts, few)
    fails(
        few["train"].digest(),
        official.facts.splits["train"].digest,
        destination=destination,
        mirrors=[str(subset)],
    )
    assert not destination.exists()


def test_a_good_file_stays_and_no_source_is_asked(official, destination):
    destination.parent.mkdir(parents=True)
    shutil.copy(official.archive, destination)
    before = destination.stat()
    fetch_dataset("cifar100", destination, [str(destination / "nowhere")])
    assert (destination.stat().st_ino, destination.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_bad_file_is_replaced_only_by_a_good_one(official, destination):
    destination.parent.mkdir(parents=True)
    destination.write_bytes(b"bad")
    fails(destination=destination, mirrors=[str(destination / "nowhere")])
    assert destination.read_bytes() == b"bad"
    fetch_dataset("cifar100", destination, [str(official.archive)])
    assert destination.read_bytes() == official.bytes


def test_unknown_names_offer_the_nearest(tmp_path):
    with pytest.raises(RepriseError, match="unknown data set 'cifar1O'; did you mean cifar10"):
        fetch_dataset("cifar1O", tmp_path / "x")
    with pytest.raises(RepriseError, match="unknown pretrained weights 'restnet18'; did you mean resnet18"):
        fetch_weights("restnet18", tmp_path / "x")


def test_a_mirror_of_another_scheme(official, destination):
    fails("ftp: is not supported", "https:", destination=destination, mirrors=["ftp://host/data"])


# HTTP


@pytest.mark.parametrize("etag", ['"one"', None])
def test_http_mirror_and_its_requests(official, destination, server, etag):
    server.answer = lambda request, number: server.send(request, official.bytes, etag=etag)
    fetch_dataset("cifar100", destination, [f"{server.url}/base/"])
    assert destination.read_bytes() == official.bytes
    assert server.paths == [f"/base/{official.archive.name}"]
    assert names(destination.parent) == [destination.name]


def test_http_mirror_that_is_the_file(official, destination, server):
    server.answer = lambda request, number: server.send(request, official.bytes)
    fetch_dataset("cifar100", destination, [f"{server.url}/renamed.tar.gz"])
    assert server.paths == ["/renamed.tar.gz"]


def test_broken_connections_are_resumed(official, destination, server):
    """Every request delivers a seventh and breaks off: seven pieces, more than `ATTEMPTS`, because each
    brings something new.
    """
    piece = len(official.bytes) // 7 + 1
    server.answer = lambda request, number: server.send(request, official.bytes, cut=piece)
    fetch_dataset("cifar100", destination, [server.url])
    assert destination.read_bytes() == official.bytes
    assert server.ranges == [None] + [f"bytes={k * piece}-" for k in range(1, 7)]


def test_an_interrupted_download_goes_on_in_the_next_call(official, destination, server):
    def breaks(request, number):
        if number == 0:
            server.send(request, official.bytes, cut=1000)
        else:
            request.send_error(404)

    server.answer = breaks
    fails("HTTP 404", destination=destination, mirrors=[server.url])
    assert destination.with_name(destination.name + ".part").stat().st_size == 1000
    server.ranges.clear()
    server.answer = lambda request, number: server.send(request, official.bytes)
    fetch_dataset("cifar100", destination, [server.url])
    assert server.ranges == ["bytes=1000-"]
    assert destination.read_bytes() == official.bytes
    assert names(destination.parent) == [destination.name]


def test_a_file_that_changed_meanwhile_is_fetched_anew(official, destination, server):
    """The first answer is cut and has another ETag, hence If-Range fails and the whole file comes."""

    def changed(request, number):
        if number == 0:
            server.send(request, b"x" * len(official.bytes), cut=1000, etag='"old"')
        else:
            server.send(request, official.bytes, etag='"new"')

    server.answer = changed
    fetch_dataset("cifar100", destination, [server.url])
    assert destination.read_bytes() == official.bytes
    assert server.ranges == [None, "bytes=1000-"]


def test_a_file_of_another_size_is_not_appended(official, destination, server):
    """Without an ETag only the size in Content-Range can tell."""

    def changed(request, number):
        server.send(
            request,
            b"x" * 5000 if number == 0 else official.bytes,
            cut=1000 if number == 0 else None,
            etag=None,
        )

    server.answer = changed
    fetch_dataset("cifar100", destination, [server.url])
    assert destination.read_bytes() == official.bytes
    assert server.ranges == [None, "bytes=1000-", None]


def test_a_server_that_ignores_range(official, destination, server):
    server.answer = lambda request, number: server.send(
        request, official.bytes, resume=False, cut=2000 if number == 0 else None
    )
    fetch_dataset("cifar100", destination, [server.url])
    assert destination.read_bytes() == official.bytes
    assert server.ranges == [None, "bytes=2000-"]


def test_a_server_that_refuses_to_resume(official, destination, server):
    def refuses(request, number):
        if number == 1:
            request.send_error(416)
        else:
            server.send(request, official.bytes, cut=1000 if number == 0 else None)

    server.answer = refuses
    fetch_dataset("cifar100", destination, [server.url])
    assert destination.read_bytes() == official.bytes
    assert server.ranges == [None, "bytes=1000-", None]


def test_a_download_stopped_before_its_check_is_not_repeated(official, destination, server, monkeypatch):
    server.answer = lambda request, number: server.send(request, official.bytes)

    def interrupt(facts, file):
        if file.name.endswith(".part"):
            raise KeyboardInterrupt
        raise RepriseError("absent")

    with monkeypatch.context() as stopped:
        stopped.setattr(fetch, "verify", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch_dataset("cifar100", destination, [server.url])
    assert not destination.exists()
    fetch_dataset("cifar100", destination, [server.url])
    assert destination.read_bytes() == official.bytes
    assert len(server.ranges) == 1


def test_server_errors_are_retried(official, destination, server):
    server.answer = lambda request, number: (
        request.send_error(500) if number < 2 else server.send(request, official.bytes)
    )
    fetch_dataset("cifar100", destination, [server.url])
    assert destination.read_bytes() == official.bytes
    assert len(server.ranges) == 3


def test_a_body_that_is_always_truncated_gives_up(official, destination, server):
    server.answer = lambda request, number: server.send(request, official.bytes, cut=500, resume=False)
    fails("broke off again and again", server.url, destination=destination, mirrors=[server.url])
    assert len(server.ranges) == download.ATTEMPTS
    assert not destination.exists()


def test_every_failing_source_is_listed(official, destination, server, monkeypatch):
    server.answer = lambda request, number: request.send_error(404)
    monkeypatch.setitem(
        catalog.OWN_DATASETS,
        "cifar100",
        dataclasses.replace(official.facts, urls=(f"{server.url}/official.tar.gz",)),
    )
    gone = str(destination.parent / "nowhere")
    http = (
        f"{server.url}/a/{destination.name}: HTTP 404 Not Found; {server.url}/official.tar.gz: HTTP 404 "
        "Not Found"
    )
    fails(
        f"({gone}: no such file; {http})",
        f"python -m reprise data add {destination.name}",
        "`mirror`",
        destination=destination,
        mirrors=[gone, f"{server.url}/a"],
    )
    assert names(destination.parent) == []


def test_no_connection_and_no_password_in_the_message(official, destination, server):
    message = fails(
        "no connection", "refused", destination=destination, mirrors=["http://user:secret@127.0.0.1:1/x"]
    )
    assert "secret" not in message


def test_an_endless_or_huge_file_is_cut_short(official, destination, server):
    limit = official.facts.max_bytes

    def huge(request, number):
        request.send_response(200)
        if number == 0:
            request.send_header("Content-Length", str(10 * limit))
        request.end_headers()
        if number > 0:
            with contextlib.suppress(OSError):  # the client hangs up
                while True:
                    request.wfile.write(bytes(2**20))

    server.answer = huge
    fails("far too many", destination=destination, mirrors=[server.url, server.url])
    assert names(destination.parent) == []


def test_the_bytes_come_as_they_are_sent(official, destination, server):
    """Some servers label a tar.gz `Content-Encoding: gzip`; a client that unpacks it gets another file."""

    def labelled(request, number):
        request.send_response(200)
        request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", str(len(official.bytes)))
        request.end_headers()
        request.wfile.write(official.bytes)

    server.answer = labelled
    fetch_dataset("cifar100", destination, [server.url])
    assert destination.read_bytes() == official.bytes


@pytest.mark.parametrize("local", [True, False])
def test_a_full_disk_leaves_nothing(official, destination, server, monkeypatch, local):
    server.answer = lambda request, number: server.send(request, official.bytes)

    class Full:
        def update(self, count):
            raise OSError(errno.ENOSPC, "No space left on device")

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    def copyfile(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "progress", lambda *args, **kwargs: Full())
    monkeypatch.setattr(shutil, "copyfile", copyfile)
    fails(
        f"{destination}: no space left on the disk",
        "free some",
        destination=destination,
        mirrors=[str(official.archive) if local else server.url],
    )
    assert names(destination.parent) == []


# Weights


@pytest.fixture
def weights(monkeypatch, tmp_path):
    content = b"weights" * 1000
    prefix = hashlib.sha256(content).hexdigest()[:8]
    file = tmp_path / "zoo" / f"net-{prefix}.pth"
    file.parent.mkdir()
    file.write_bytes(content)
    monkeypatch.setitem(catalog.WEIGHTS, "net", WeightsFacts("net", file.name, (), prefix, 2**20))
    return file


def test_weights(weights, tmp_path, server):
    server.answer = lambda request, number: server.send(request, weights.read_bytes())
    for mirror in (str(weights.parent), server.url):
        target = fetch_weights("net", tmp_path / "data" / weights.name, [mirror])
        assert target.read_bytes() == weights.read_bytes()
        target.unlink()
    assert server.paths == [f"/{weights.name}"]


def test_wrong_weights_are_refused(weights, tmp_path):
    weights.write_bytes(b"other")
    with pytest.raises(RepriseError, match=r"SHA-256 is d9298a10\w+, expected [0-9a-f]{8}…"):
        fetch_weights("net", tmp_path / "data" / weights.name, [str(weights)])
    assert names(tmp_path / "data") == []


# Files that the user has


def test_add_by_name_and_by_content(official, weights, tmp_path, monkeypatch):
    renamed = tmp_path / "download (1).bin"
    for file, place in (
        (official.archive, f"archives/{official.archive.name}"),
        (weights, f"weights/{weights.name}"),
    ):
        for given in (file, Path(shutil.copy(file, renamed))):
            target = add_archive(given, tmp_path / "data")
            assert target == tmp_path / "data" / place
            assert target.read_bytes() == file.read_bytes() == given.read_bytes()
            assert add_archive(target, tmp_path / "data") == target  # already in place
            target.unlink()


def test_add_refuses_other_files(official, drawn, tmp_path):
    mine = drawn["cifar100"]
    with pytest.raises(
        RepriseError,
        match=f"^{mine}: not the official {mine.name}: 300 of 200 training images, .*its 100 test images.*; "
        "get the official",
    ):
        add_archive(mine, tmp_path / "data")
    damaged = tmp_path / mine.name
    damaged.write_bytes(mine.read_bytes()[:-100])
    with pytest.raises(
        RepriseError, match=rf"md5 is \w+, expected {official.facts.md5}.*nor a repacked one"
    ) as error:
        add_archive(damaged, tmp_path / "data")
    assert "delete" not in str(error.value)
    other = tmp_path / "other.zip"
    other.write_bytes(b"PK")
    known = (
        "cifar-10-python.tar.gz, cifar-100-python.tar.gz, stl10_binary.tar.gz, CINIC-10.tar.gz, "
        "vgg16-397923af.pth"
    )
    with pytest.raises(RepriseError, match=f"other.zip: none of {known}"):
        add_archive(other, tmp_path / "data")
    with pytest.raises(RepriseError, match="no such file"):
        add_archive(tmp_path / "absent.tar.gz", tmp_path / "data")
    assert not (tmp_path / "data").exists()


# Synthetic stand-ins


@pytest.mark.parametrize("name", catalog.OWN_DATASETS)
def test_a_stand_in_comes_with_its_sidecar(drawn, tmp_path, name):
    target = tmp_path / "data" / drawn[name].name
    fetch_dataset(name, target, [str(drawn[name].parent)], accept="synthetic")
    assert target.read_bytes() == drawn[name].read_bytes()
    assert json.loads(sidecar_of(target).read_text())["source"] == "synthetic"
    assert names(target.parent) == [target.name, sidecar_of(target).name]


def test_a_redrawn_stand_in_replaces_the_old_one(drawn, tmp_path):
    target = tmp_path / "data" / drawn["cifar10"].name
    fetch_dataset("cifar10", target, [str(drawn["cifar10"])], accept="synthetic")
    newer = write_synthetic("cifar10", tmp_path / "newer", {"train": 1, "test": 1}, seed=1)
    fetch_dataset("cifar10", target, [str(newer)], accept="synthetic")
    assert target.read_bytes() == newer.read_bytes()
    assert sidecar_of(target).read_text() == sidecar_of(newer).read_text()


def test_stand_ins_and_real_archives_do_not_pass_for_each_other(official, destination, drawn, tmp_path):
    fails("neither the official file", destination=destination, mirrors=[str(drawn["cifar100"])])
    fails(
        "the real cifar100 where a synthetic one is expected",
        destination=destination,
        mirrors=[str(official.archive)],
        accept="synthetic",
    )
    fails(
        "a synthetic archive where a stand-in one is expected",
        destination=destination,
        mirrors=[str(drawn["cifar100"])],
        accept="stand-in",
    )
    bare = Path(shutil.copy(drawn["cifar100"], tmp_path))
    fails("content digest", destination=destination, mirrors=[str(bare)], accept="synthetic")
    sidecar_of(bare).write_text(json.dumps({"digests": {"train": "0", "test": "0"}}))
    fails("make the stand-in again", destination=destination, mirrors=[str(bare)], accept="synthetic")
    fails(
        "none is given",
        "make the synthetic archive first",
        destination=destination,
        mirrors=["https://host/data"],
        accept="synthetic",
    )
    assert names(destination.parent) == []
