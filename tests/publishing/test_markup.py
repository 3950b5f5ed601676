"""Hostile texts in every published format: they stay text."""

import re
from html.parser import HTMLParser

import pytest
import yaml
from docutils.core import publish_parts

from mini import mini
from reprise.publishing.markup import latex, markdown, markdown_code, markdown_row, one_line
from reprise.workflow.config import Config
from reprise.workflow.programme import Programme

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!-- comment",
    "<?php echo 1 ?>",
    "]]>",
    "&lt;b&gt; &#60;i&#62; &amp;",
    "[x](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "[x]: javascript:alert(1)",
    "`x <javascript:alert(1)>`_",
    "`code` ``code`` ```",
    "**bold** *it* _it_ __bold__ ~~gone~~",
    "$x$ $$x$$ \\(x\\)",
    "a | b || c \\| d \\",
    "# heading",
    "> quotation",
    "- item",
    "a \u202e b \x07 c \u200f",
    "1. item",
    "===",
    "---",
    "text\n\n.. raw:: html\n\n   <script>alert(1)</script>",
    "text\n\n.. include:: /etc/passwd",
    "text\r\n\n\n## heading\n\n| a |\n|---|\n",
    "|secret| x_ `x`_ :raw-html:`<b>` footnote [1]_",
    "\\input{/etc/passwd} \\write18{touch x} %comment",
    "\\\\[1em] [x] *",
    "[1em] first",
    "* first",
    "% & _ # { } ~ ^ \\ < > | \" ' `",
    "}\\end{table}\\input{x}",
    "\u202egnp.exe\u202c \u2066x\u2069 \u200fx",
    "\x1b[31mred\x07\x00",
    "{{ snakemake.params }} {% for x in y %}",
    "=HYPERLINK(1)",
    "x\u2028y\u2029z\x85",
    "ünï 日本 🎉 e\u0301",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_stays_one_line(text: str):
    line = one_line(text)
    assert line == " ".join(line.split())  # no space is left of what is taken out
    assert len(line.splitlines()) <= 1
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", line)
    assert [char for char in line if char.isalnum()] == [char for char in text if char.isalnum()]


COMMANDS = (
    r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|char34|textdegree){}"
    r"|\\[&%$#_{}]|\$\\?[-a-z]+\$"
)


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_has_no_command_but_those_that_stand_for_a_sign(text: str):
    escaped = latex(text)
    rest = re.sub(COMMANDS, "", re.sub(r"^{([\[*])}", "", escaped))
    assert not re.search(r"[\\{}$&#^_~%]", rest), escaped
    assert not re.match(r"[\[*]", escaped)
    assert "\n" not in escaped


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_is_text(text: str):
    escaped = markdown(text)
    rest = re.sub(r"\\[!-/:-@\[-`{-~]", "", escaped)  # what a backslash makes a letter of
    assert not re.search(r"[`*\[$]|<[A-Za-z/!?]|&#?\w+;|~~|(?<![^\W_])_|_(?![^\W_])", rest), escaped
    assert not re.match(r"[#>]|[-+=*]\s|[-=]{2}|\d+[.)]\s", escaped), escaped
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped) == one_line(text)
    code = markdown_code(text)
    fence = re.match("`+", code)[0]
    assert code.endswith(fence)
    assert fence not in code.strip("`")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_markdown_stays_one_cell(text: str):
    row = markdown_row([markdown(text), markdown_code(text), "next"])
    assert len(re.findall(r"(?<!\\)\|", row)) == 4, row


def test_plain_texts_stay_as_they_are():
    for text in (
        "Learning rate 1e-3, batch size 64 (3 of 20 epochs)",
        "mlp_search/weight_decay=0.1",
        "a < b, c > 0.5 & d",
        "-0.5",
        "82 %",
    ):
        assert markdown(text) == text
    assert latex("± 5 – 6") == r"$\pm$ 5 -- 6"


class Reader(HTMLParser):
    """Text and tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


MINI = mini(
    [{"flatten": True}, {"dense": "classes"}],
    {"base": {}},
)
FIGURE = {"id": "image", "kind": "samples", "images": {"dataset": "cifar10", "captions": ["label"]}}
WRITABLE = [text for text in HOSTILE if not re.search("[\x00-\x08\x0b-\x1f\x85\u202a-\u202e]", text)]
"""What a report file may hold."""


def test_captions_of_snakemakes_page_are_text(tmp_path):
    figures = [{**FIGURE, "id": f"image_{number}", "caption": text} for number, text in enumerate(WRITABLE)]
    (tmp_path / "mini.yaml").write_text(yaml.safe_dump({**MINI, "figures": figures}))
    programme = Programme(Config(scale="demo"), tmp_path)
    for figure in programme.reports["mini"].figures:
        source = f"**{figure.id}** of report *mini*: {programme.caption('figures', 'mini', figure.id)}"
        page = Reader(publish_parts(source, writer="html", settings_overrides={"report_level": 5})["body"])
        assert sorted(page.tags) == ["em", "p", "strong"], page.tags
        assert " ".join(page.text.split()).endswith(" ".join(figure.caption.split()))
