"""README, CONTRIBUTING and docs: lines that fit, and links that lead somewhere."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LONGEST = 120


@cache
def tokens(text: str) -> list[Token]:
    """All tokens of a page in Markdown, those in a line after the line's own."""
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    return [token for block in parsed for token in (block, *(block.children or ()))]


@cache
def anchors(text: str) -> set[str]:
    """What `#…` can name: headings, as GitHub makes anchors of them, and `id` or `name` in HTML."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    parsed = tokens(text)
    for place, token in enumerate(parsed):
        if token.type == "heading_open":
            said = "".join(each.content for each in parsed[place + 1].children or ())
            name = re.sub(r"[^\w\- ]", "", said.lower()).replace(" ", "-")
            found.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
        elif token.type in ("html_block", "html_inline"):
            found.update(re.findall(r'\b(?:id|name)="([^"]+)"', token.content))
    return found


def links(text: str) -> list[str]:
    """Targets of links and images, in Markdown and HTML, that are no addresses of the web."""
    found: list[str] = []
    for token in tokens(text):
        if token.type in ("link_open", "image"):
            found.append(str(token.attrs["href" if token.type == "link_open" else "src"]))
        elif token.type in ("html_block", "html_inline"):
            found += re.findall(r'\b(?:href|src)="([^"]+)"', token.content)
    return [target for target in found if not re.match(r"[a-z][a-z+.-]*:", target)]


def leads_somewhere(target: str, page: Path, root: Path) -> bool:
    """Whether the file or folder is in the repository, and the anchor in the page. From a page at the top,
    `../../actions` leads to the workflows on GitHub.
    """
    path, _, anchor = unquote(target).partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.is_relative_to(root):
        workflow = re.fullmatch(r"\.\./\.\./actions/workflows/(\w+\.yml)(?:/badge\.svg)?", path)
        return bool(workflow) and page.parent == root and (root / ".github/workflows" / workflow[1]).exists()
    if not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in anchors(file.read_text(encoding="utf-8"))


def broken(page: Path, root: Path = ROOT) -> list[str]:
    """Links of a page that lead nowhere."""
    return [
        target
        for target in links(page.read_text(encoding="utf-8"))
        if not leads_somewhere(target, page, root)
    ]


def too_long(text: str) -> list[str]:
    return [
        f"line {number}: {len(line)} characters"
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > LONGEST
    ]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_fit(page: Path):
    assert too_long(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path):
    assert broken(page) == []


# ---- what these tests see ----


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[a](there.md) ![b](picture.png) [c](sub/) [d](there.md#a-heading) [e](#here)\n\n# Here", []),
        ("[a](absent.md)", ["absent.md"]),
        ("![a](absent.png)", ["absent.png"]),
        ("[a][b]\n\n[b]: absent.md", ["absent.md"]),
        ("[a](there.md#absent)", ["there.md#absent"]),
        ("[a](#absent)\n\n# Here", ["#absent"]),
        ("| a |\n|---|\n| [b](absent.md) |", ["absent.md"]),
        ('<img src="absent.png">', ["absent.png"]),
        ('text <a href="#placed">a</a> <a id="placed"></a> <a href="#absent">b</a>', ["#absent"]),
        ("`[a](absent.md)`\n\n```\n[b](absent.md)\n```", []),
        ("[a](https://example.org/absent) <https://example.org> [b](mailto:a@example.org)", []),
        ("[a](with%20space.md)", []),
        ("[a](there.md#a-heading-1) [b](there.md#a-heading-2)", ["there.md#a-heading-2"]),
        ("![a](../../actions/workflows/ci.yml/badge.svg) [b](../../actions/workflows/ci.yml)", []),
        ("[a](../../actions/workflows/absent.yml)", ["../../actions/workflows/absent.yml"]),
        ("[a](../page.md) [b](../../etc)", ["../page.md", "../../etc"]),
        ("[a](#what-is-x_y-and-more)\n\n## What is `x_y`, *and* more?", []),
    ],
)
def test_broken_links_are_found(text: str, wrong: list[str], tmp_path: Path):
    (tmp_path / "there.md").write_text("# A heading\n\n## A heading\n", encoding="utf-8")
    (tmp_path / "with space.md").touch()
    (tmp_path / "picture.png").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/ci.yml").touch()
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert broken(page, tmp_path) == wrong


@pytest.mark.parametrize(
    ("line", "fits"),
    [("ä" * 120, True), ("ä" * 121, False), (f"| {'a' * 120} |", False), (f"    {'a' * 117}", False)],
)
def test_long_lines_are_found(line: str, fits: bool):
    assert too_long(f"short\n{line}\n") == ([] if fits else [f"line 2: {len(line)} characters"])
