"""The gallery shows every kind of figure and table as it is drawn now."""

import importlib
import io
import json
import re
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from PIL import Image

from reprise.checking import check_report
from reprise.reports import editor
from reprise.reports.figures import OWN_FIGURES, Samples
from reprise.reports.report import Report
from reprise.reports.tables import OWN_TABLES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FILE = DOCS / "gallery/gallery.yaml"
PAGE = (DOCS / "gallery.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"^### (Figure|Table) (\w+)\n\n```yaml\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def make():
    sys.path.insert(0, str(DOCS))
    try:
        yield importlib.import_module("make_gallery")
    finally:
        sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def gallery(make):
    return make.Gallery()


def test_the_page_is_made_of_the_code(make, gallery):
    assert make.page(gallery) == PAGE, "make it anew: make gallery"


def test_every_kind_has_a_sample_and_every_figure_a_picture():
    shown = [(what.lower(), kind) for what, kind, _ in SAMPLES]
    assert shown == [*(("figure", kind) for kind in OWN_FIGURES), *(("table", kind) for kind in OWN_TABLES)]
    pictures = re.findall(r"^!\[[^]]+\]\((gallery/\w+\.png)\)$", PAGE, re.MULTILINE)
    assert len(pictures) == len(OWN_FIGURES)
    assert {DOCS / picture for picture in pictures} == set((DOCS / "gallery").glob("*.png"))
    assert [name for name in pictures if (DOCS / name).stat().st_size > 40_000] == []


@pytest.mark.parametrize(("what", "kind", "sample"), SAMPLES, ids=lambda value: str(value)[:9])
def test_samples_are_what_a_report_file_may_say(what, kind, sample):
    document = yaml.safe_load(sample)
    check = jsonschema.Draft202012Validator(editor.json_schema())
    assert [error.message for error in check.iter_errors(document)] == []
    ((section, (entry,)),) = document.items()
    assert section == f"{what.lower()}s"
    assert entry["kind"] == kind
    assert entry in yaml.safe_load(FILE.read_text(encoding="utf-8"))[section]


def test_the_report_of_the_gallery_has_no_mistake():
    assert check_report(Report(FILE)) == []


@pytest.mark.parametrize("kind", OWN_FIGURES)
def test_a_picture_shows_what_the_sample_says_as_it_is_drawn_now(make, gallery, tmp_path, kind):
    spec = next(figure for figure in gallery.report.figures if figure.kind == kind)
    committed = Image.open(DOCS / f"gallery/{spec.id}.png")
    assert json.loads(committed.text[make.SOURCE]) == json.loads(make.drawn_from(spec)), "make gallery"
    images = make.sample_images(gallery.report, spec, tmp_path) if isinstance(spec, Samples) else None
    drawn = Image.open(io.BytesIO(gallery.picture(spec, images)))
    if committed.text[make.SOFTWARE] != make.drawn_by():
        pytest.skip("other versions drew the pictures that are committed")
    assert drawn.size == committed.size, "draw it anew: make gallery"
    shades = [np.asarray(image.convert("RGB"), dtype=float) for image in (drawn, committed)]
    assert np.abs(shades[0] - shades[1]).mean() < 1, "draw it anew: make gallery"
