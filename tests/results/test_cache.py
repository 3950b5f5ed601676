"""Run caches in folders and behind a server: what they give is good, and nothing else is used."""

import hashlib
import lzma
import shutil
import subprocess
import threading
from dataclasses import replace

import pytest
from test_entry import claim, forged, made, name_of

from mirrors import server  # noqa: F401
from reprise.errors import RepriseError
from reprise.results import cache as caches_module
from reprise.results.cache import Caches, add, folder_to_add_to, read_sums, write_sums
from reprise.results.entry import Entry
from tiny import tiny_run

RUNS = [tiny_run(), tiny_run(optimizer__lr=0.01), tiny_run(optimizer__lr=0.02)]


@pytest.fixture
def entries():
    return [made(run, seed) for seed, run in enumerate(RUNS)]


@pytest.fixture
def folder(entries, tmp_path):
    add(tmp_path / "shared", entries)
    return tmp_path / "shared"


def opened(tmp_path, *places):
    return Caches([str(place) for place in places], tmp_path / "copies")


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put(folder, packed):
    """A packed entry as its author has put it into a cache."""
    (folder / "runs" / f"{name_of(packed)}.json.xz").write_bytes(packed)
    write_sums(folder)


# ---- folders ----


def test_what_was_added_is_found(folder, entries, tmp_path, capsys):
    found = opened(tmp_path, folder).find([run.hash for run in RUNS] + ["0" * 12])
    assert [entry.name for entry in found.values()] == [entry.name for entry in entries]
    assert all(found[entry.run.hash].same_result(entry) for entry in entries)
    assert capsys.readouterr().err == ""


def test_the_list_is_that_of_sha256sum(folder):
    done = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder)
    assert done.returncode == 0
    assert len(read_sums((folder / "SHA256SUMS").read_text())) == 3 + 3  # test images differ in this test


def test_adding_twice_changes_nothing(folder, entries):
    before = files(folder)
    assert set(add(folder, entries).values()) == {"there already"}
    assert files(folder) == before


def test_two_results_of_one_run_are_both_kept(folder, entries, tmp_path):
    before = files(folder)
    late = made(RUNS[0], seed=9, finished="2026-12-01T12:00:00+00:00", device="another")
    assert add(folder, [late]) == {RUNS[0].hash: "another result"}
    assert files(folder).items() >= {name: before[name] for name in before if name != "SHA256SUMS"}.items()
    caches = opened(tmp_path, folder)
    assert [entry.name for entry in caches.results(RUNS[0].hash)] == [entries[0].name, late.name]
    assert caches.find([RUNS[0].hash])[RUNS[0].hash].name == entries[0].name


def test_of_two_results_an_import_of_all_takes_the_one_that_was_finished_first(folder, entries, tmp_path):
    for seed in range(20, 24):  # in the order of their names the first is now this one, now that one
        late = made(RUNS[0], seed, finished=f"2026-12-01T12:00:{seed}+00:00")
        add(folder, [late])
        add(tmp_path / "late", [late])
    for places in ([folder], [tmp_path / "late", folder]):
        found = {entry.run.hash: entry.name for entry in opened(tmp_path, *places).every()}
        assert found == {entry.run.hash: entry.name for entry in entries}


def test_results_stand_in_the_order_of_time(tmp_path):
    times = [
        "2026-12-01T12:00:00+02:00",
        "2026-12-01T11:00:00+00:00",
        "2026-12-01T09:30:00-03:00",
        "0000",
    ]
    named = [made(RUNS[0], finished=time) for time in times]
    add(tmp_path / "shared", named)
    found = opened(tmp_path, tmp_path / "shared").results(RUNS[0].hash)
    assert [entry.meta["finished"] for entry in found] == times


def test_a_damaged_entry_beside_another_result(folder, entries, tmp_path, capsys):
    late = made(RUNS[0], seed=9, finished="2026-12-01T12:00:00+00:00")
    add(folder, [late])
    truncate(folder, entries[0])
    found = opened(tmp_path, folder).find([RUNS[0].hash])
    assert found[RUNS[0].hash].name == late.name
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("is not used: cut short; another result of the run is used")


def test_an_entry_that_is_damaged_there_is_added_again(folder, entries):
    before = files(folder)
    for damage in (truncate, fill(b""), lose_test_images, damage_test_images):
        damage(folder, entries[0])
        add(folder, entries)
        assert files(folder) == before


def test_weights_of_two_results_are_both_kept(tmp_path):
    def trained(seed, weights):
        entry = made(RUNS[0], seed, finished=f"2026-12-01T12:00:0{seed}+00:00")
        (tmp_path / f"{seed}").write_bytes(weights)
        entry = replace(entry, weights=hashlib.sha256(weights).hexdigest())
        add(tmp_path / "shared", [entry], {RUNS[0].hash: tmp_path / f"{seed}"})
        return entry

    kept = [trained(1, b"one"), trained(2, b"two"), trained(2, b"two"), trained(1, b"one")]
    caches = opened(tmp_path, tmp_path / "shared")
    assert [caches.weights(entry).read_bytes() for entry in kept] == [b"one", b"two", b"two", b"one"]
    assert len(list((tmp_path / "shared/weights").iterdir())) == 2
    assert sum("weights/" in name for name in read_sums((tmp_path / "shared/SHA256SUMS").read_text())) == 2


def test_processes_that_add_at_once_lose_nothing(tmp_path):
    every = [made(tiny_run(optimizer__lr=0.001 * (1 + number)), number) for number in range(8)]
    threads = [threading.Thread(target=add, args=(tmp_path / "shared", [entry])) for entry in every]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened(tmp_path, tmp_path / "shared").every()) == len(every)
    assert len(read_sums((tmp_path / "shared/SHA256SUMS").read_text())) == 2 * len(every)


def test_caches_are_asked_in_order(folder, entries, tmp_path, capsys):
    own = made(RUNS[0], seed=5)
    add(tmp_path / "own", [own, *entries[1:2]])
    caches = opened(tmp_path, tmp_path / "own", folder)
    assert len(caches.results(RUNS[0].hash)) == 2
    assert {entry.name for entry in caches.find([run.hash for run in RUNS]).values()} >= {entries[2].name}
    assert capsys.readouterr().err == ""


def test_a_run_that_was_not_evaluated_is_not_taken(tmp_path):
    entry = made()
    add(tmp_path / "shared", [Entry(entry.run, entry.meta, entry.history, weights="0" * 64)])
    caches = opened(tmp_path, tmp_path / "shared")
    assert caches.find([entry.run.hash]) == {}
    assert len(caches.find([entry.run.hash], evaluated=False)) == 1


def forge(folder, entry):
    put(folder, forged(entry, claim(accuracy=0.99)))
    (folder / "runs" / f"{entry.name}.json.xz").unlink()


def truncate(folder, entry):
    path = folder / "runs" / f"{entry.name}.json.xz"
    path.write_bytes(path.read_bytes()[:-20])


def swap(folder, entry):
    other = next(path for path in (folder / "runs").iterdir() if not path.name.startswith(entry.run.hash))
    shutil.copy(other, folder / "runs" / f"{entry.name}.json.xz")


def fill(content):
    def damage(folder, entry):
        (folder / "runs" / f"{entry.name}.json.xz").write_bytes(content)

    return damage


def lose_test_images(folder, entry):
    (folder / "tests" / f"{entry.tested.name}.json.xz").unlink()


def damage_test_images(folder, entry):
    (folder / "tests" / f"{entry.tested.name}.json.xz").write_bytes(b"damaged")


def other_test_images(folder, entry):
    other = next(path for path in (folder / "tests").iterdir() if entry.tested.name not in path.name)
    shutil.copy(other, folder / "tests" / f"{entry.tested.name}.json.xz")


def link(folder, entry):
    path = folder / "runs" / f"{entry.name}.json.xz"
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")


def make_folder(folder, entry):
    path = folder / "runs" / f"{entry.name}.json.xz"
    path.unlink()
    path.mkdir()


DAMAGES = {
    "forged": (forge, "its final accuracy is 0.99, the predictions and the history give"),
    "truncated": (truncate, "cut short"),
    "foreign": (swap, "it is "),
    "empty": (fill(b""), "cut short"),
    "not xz": (fill(b"<html>not found</html>" * 20), "not xz"),
    "huge": (fill(b"\0" * (2 << 20)), "far too many for what it should be"),
    "a bomb": (fill(lzma.compress(b" " * (1 << 26))), "far too large when unpacked"),
    "test images gone": (lose_test_images, "its test images, tests/.*, are not there"),
    "test images damaged": (damage_test_images, "its test images, tests/.*: "),
    "test images of others": (other_test_images, "it holds the test images"),
    "a link": (link, "is a link"),
    "a folder": (make_folder, "a folder where a file is expected"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_entry_is_one_line_and_not_used(folder, entries, tmp_path, capsys, name):
    damage, message = DAMAGES[name]
    damage(folder, entries[0])
    found = opened(tmp_path, folder).find([run.hash for run in RUNS])
    assert list(found) == [run.hash for run in RUNS[1:]]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"reprise: cache {folder}: entry {RUNS[0].hash}-")
    assert "is not used: " in line
    assert line.endswith("; the run is trained instead")
    import re

    assert re.search(message, line)


@pytest.mark.parametrize("name", DAMAGES)
def test_an_import_of_all_refuses_a_damaged_entry(folder, entries, tmp_path, name):
    damage, message = DAMAGES[name]
    damage(folder, entries[0])
    with pytest.raises(RepriseError, match=message):
        opened(tmp_path, folder).every()


def test_the_next_cache_helps_out(folder, entries, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "copy")
    truncate(folder, entries[0])
    found = opened(tmp_path, folder, tmp_path / "copy").find([RUNS[0].hash])
    assert found[RUNS[0].hash].name == entries[0].name
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("place", ["nowhere", "http://127.0.0.1:9/cache"])
def test_a_cache_that_is_not_there_is_one_line(folder, tmp_path, capsys, monkeypatch, place):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert len(opened(tmp_path, place, folder).find([run.hash for run in RUNS])) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"reprise: cache {place}: cannot be used: ")
    assert line.endswith("; its runs are trained instead")


@pytest.mark.parametrize("place", ["http://[bad", "file://[bad/x"])
def test_what_is_no_url_is_one_line(tmp_path, place):
    with pytest.raises(RepriseError, match=r"cache .*\[bad.*: not a URL"):
        opened(tmp_path, place)


def test_the_name_of_a_folder_may_look_a_little_like_a_url(folder, tmp_path):
    odd = tmp_path / "http:[1]" / "a 'b\" é%20?#"
    odd.parent.mkdir()
    shutil.copytree(folder, odd)
    assert len(opened(tmp_path, odd).every()) == len(RUNS)
    assert len(opened(tmp_path, f"/{odd}").every()) == len(RUNS)


def test_a_refused_entry_is_not_tried_again(folder, entries, tmp_path, capsys):
    opened(tmp_path, folder).refuse(entries[0])
    assert list(opened(tmp_path, folder).find([run.hash for run in RUNS])) == [run.hash for run in RUNS[1:]]
    assert capsys.readouterr().err == ""


def test_weights_are_what_the_entry_says(tmp_path):
    (tmp_path / "weights").write_bytes(b"weights")
    entry = made()
    entry = Entry(
        entry.run,
        entry.meta,
        entry.history,
        entry.final,
        entry.tested,
        entry.predicted,
        hashlib.sha256(b"weights").hexdigest(),
    )
    add(tmp_path / "shared", [entry], {entry.run.hash: tmp_path / "weights"})
    caches = opened(tmp_path, tmp_path / "shared")
    path = caches.weights(caches.find([entry.run.hash])[entry.run.hash])
    assert path.read_bytes() == b"weights"
    path.write_bytes(b"others")
    assert caches.weights(entry) is None


@pytest.mark.parametrize(
    ("place", "what"),
    [("http://host/cache", "a URL"), ("s3://host/cache", "a URL"), ("", "the name is empty")],
)
def test_only_a_folder_can_be_added_to(place, what):
    with pytest.raises(RepriseError, match=f"^cache '{place}': {what}; give a folder"):
        folder_to_add_to(place)
    for name in ("file:///tmp/a%20b", "/tmp/a b"):
        assert str(folder_to_add_to(name)) == "/tmp/a b"


# ---- behind a server ----


@pytest.fixture
def served(folder, server):  # noqa: F811
    """The cache behind a server that keeps to what it holds."""

    def answer(request, number):
        path = folder / request.path.removeprefix("/cache/")
        if path.is_file():
            server.send(request, path.read_bytes())
        else:
            request.send_error(404)

    server.answer = answer
    return server


def test_a_cache_behind_a_server(served, entries, tmp_path, capsys):
    url = f"{served.url}/cache/"
    found = opened(tmp_path, url).find([run.hash for run in RUNS[:2]])
    assert [entry.name for entry in found.values()] == [entry.name for entry in entries[:2]]
    asked = len(served.paths)
    assert asked == 1 + 2 + 2, "the list, two entries, their test images"
    assert len(opened(tmp_path, url).find([run.hash for run in RUNS[:2]])) == 2
    assert len(served.paths) == asked + 1, "what was sent is kept; the list is asked for anew"
    assert "cache" not in capsys.readouterr().err


def test_what_a_server_sends_is_compared_with_its_list(served, folder, entries, tmp_path, capsys):
    truncate(folder, entries[0])
    found = opened(tmp_path, f"{served.url}/cache").find([run.hash for run in RUNS])
    assert list(found) == [run.hash for run in RUNS[1:]]
    assert "is not what its SHA256SUMS says" in capsys.readouterr().err


def fail(request, number, server):  # noqa: F811
    request.send_error(503)


def cut(request, number, server):  # noqa: F811
    server.send(request, b"0" * 5000, cut=100, resume=False)


def flood(request, number, server):  # noqa: F811
    request.send_response(200)
    request.end_headers()
    try:
        for _ in range(4096):
            request.wfile.write(b"\0" * (1 << 20))
    except OSError:
        pass


def html(request, number, server):  # noqa: F811
    server.send(request, b"<html>Sign in</html>\n" * 10)


def nonsense(request, number, server):  # noqa: F811
    request.wfile.write(b"no HTTP\r\n\r\n")


def silent(request, number, server):  # noqa: F811
    import time

    time.sleep(1)


FAULTS = [fail, cut, flood, html, nonsense, silent]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.__name__ for fault in FAULTS])
@pytest.mark.parametrize("when", ["at once", "for entries"])
def test_a_faulty_server_ends_in_one_line(served, folder, tmp_path, monkeypatch, capsys, fault, when):
    """And the next cache gives what it could not."""
    monkeypatch.setattr(caches_module, "TIMEOUT_S", (2.0, 0.3))
    monkeypatch.setattr(caches_module, "MOST_SUMS", 1 << 16)
    whole = served.answer

    def answer(request, number):
        if when == "for entries" and request.path.endswith("SHA256SUMS"):
            whole(request, number)
        else:
            fault(request, number, served)

    served.answer = answer
    shutil.copytree(folder, tmp_path / "next")
    found = opened(tmp_path, f"{served.url}/cache", tmp_path / "next").find([run.hash for run in RUNS])
    assert len(found) == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("reprise: cache ")]
    assert 1 <= len(lines) <= (3 if fault is html else 1)
    assert all(served.url in line for line in lines)


def test_a_list_that_lacks_a_file_or_names_others(served, folder, entries, tmp_path, capsys):
    sums = (folder / "SHA256SUMS").read_text()
    (folder / "runs" / f"{entries[0].name}.json.xz").unlink()
    found = opened(tmp_path, f"{served.url}/cache").find([run.hash for run in RUNS])
    assert list(found) == [run.hash for run in RUNS[1:]]
    assert "HTTP 404" in capsys.readouterr().err
    for line in (f"{'0' * 64}  ../../etc/passwd\n", "no list\n", f"{'0' * 64}  runs/a/b\n"):
        (folder / "SHA256SUMS").write_text(sums + line)
        assert opened(tmp_path, f"{served.url}/cache").find([RUNS[1].hash]) == {}
        assert "is not what sha256sum writes" in capsys.readouterr().err
