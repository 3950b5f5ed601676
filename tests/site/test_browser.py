"""The site in a real browser: Debian's Chromium, at the width of a desk and of a phone (make site-test).

The sites are those that are there: of the evidence (results/site) and of the demo (results/demo/site).
"""

import itertools
import os
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SITES = [site for name in ("", "demo") if (site := ROOT / "results" / name / "site").is_dir()]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (1280, 390)
MOST_BYTES = 2_000_000
ONE_IN = 8
FEW = 4
"""Pages of one folder of many that axe looks at, about."""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not SITES, reason="no site there; make one with: make evidence"),
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine; install Debian's: chromium"),
]


def pages_of(site):
    return sorted(site.rglob("*.html"))


def one_of_each(site):
    """A page of each kind, by what it is called; those that have the most to show."""
    kinds = {}
    for page in sorted(pages_of(site), key=lambda page: page.stat().st_size):
        folder = page.parent.name
        kind = folder if page.parent.parent.parent == site else page.relative_to(site).as_posix()
        kinds[
            "run"
            if folder == "runs" and len(page.stem) == 12
            else "report"
            if kind.endswith("/index.html") and folder != "runs"
            else kind
        ] = page
    return kinds


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install .[browser])"
    )
    with api.sync_playwright() as playwright:
        # Chromium's own sandbox needs what containers and root lack; these pages are ours.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A tab that notes what goes wrong in it."""

    def __init__(self, browser, width, **kwargs):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **kwargs)
        self.page = self.context.new_page()
        self.faults = []
        self.page.on(
            "console",
            lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None,
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", self._asked)

    def _asked(self, request):
        if not request.url.startswith(("file:", "data:")):
            self.faults.append(f"asked for {request.url}")

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":  # a picture that is not needed any more on the next page
            self.faults.append(f"failed: {request.url}: {request.failure}")

    def go(self, path, after=""):
        self.page.goto(path.as_uri() + after)
        return self.page


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.parent.name)
def test_every_page_loads_without_a_word_and_fits_a_desk_and_a_phone(site, browser):
    """But of the runs that are not there, hundreds of pages with nothing but settings, one in `ONE_IN`."""
    wrong = []
    opened = Opened(browser, WIDTHS[0])
    idle = [page for page in pages_of(site) if '<p class="absent">Not run yet.</p>' in page.read_text()]
    left_out = {*idle} - {*idle[::ONE_IN]}
    for path in (page for page in pages_of(site) if page not in left_out):
        page = opened.go(path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            found = page.evaluate("document.documentElement.scrollWidth")
            if found > width:
                wrong.append(f"{path.relative_to(site)}: {found} pixels wide on {width}")
        wrong += [f"{path.relative_to(site)}: {fault}" for fault in opened.faults]
        opened.faults.clear()
        page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    opened.context.close()
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("site", SITES, ids=lambda site: site.parent.name)
def test_axe_finds_nothing_serious(site, scheme, browser):
    """On all pages but runs, figures and statements, of which `FEW` of each report stand for the others, made
    from the same template; in the dark on the fullest page of each kind.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    looked_at = one_of_each(site).values()
    if scheme == "light":
        folders = {}
        for page in pages_of(site):
            folders.setdefault(page.parent, []).append(page)
        many = ("runs", "figures", "statements")
        looked_at = [
            page
            for folder, pages in folders.items()
            for page in (pages[:: max(1, len(pages) // FEW)] if folder.name in many else pages)
        ]
    opened = Opened(browser, WIDTHS[0], color_scheme=scheme)
    wrong = []
    for path in looked_at:
        page = opened.go(path)
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
        wrong += [
            f"{path.relative_to(site)}: {one['id']}: {one['nodes'][0]['html'][:120]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
    opened.context.close()
    assert not wrong, "\n".join(wrong[:20])


FOCUSABLE = "a[href], button, input, select, summary, textarea, [tabindex='0']"


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.parent.name)
def test_the_keyboard_reaches_every_control(site, browser):
    opened = Opened(browser, 1280)
    for kind, path in one_of_each(site).items():
        page = opened.go(path)
        controls = page.evaluate(
            f"""[...document.querySelectorAll("{FOCUSABLE}")]
            .filter((each) => each.checkVisibility() && !each.disabled && each.tabIndex >= 0)
            .map((each, place) => {{ each.dataset.place = place; return place; }})"""
        )
        reached = set()
        for _ in range(min(len(controls), 400) + 5):
            page.keyboard.press("Tab")
            place = page.evaluate("document.activeElement?.dataset?.place ?? null")
            if place is not None:
                reached.add(int(place))
        assert len(reached) >= min(len(controls), 400), (
            f"{kind}: {sorted({*controls} - reached)[:5]} of {path}"
        )
    opened.context.close()


# ---- what answers ----


@pytest.fixture
def desk(browser):
    opened = Opened(browser, 1280)
    yield opened
    assert not opened.faults
    opened.context.close()


def test_a_bar_filters_the_statements(desk):
    page = desk.go(SITES[0] / "index.html")
    everything = page.locator("#all tbody tr").count()
    part = page.locator(".stack .part").first
    report, verdict = part.get_attribute("data-report"), part.get_attribute("data-verdict")
    part.click()
    shown = page.locator("#all tbody tr:visible")
    assert 0 < shown.count() < everything
    assert {row.get_attribute("data-report") for row in shown.all()} == {report}
    assert {row.get_attribute("data-verdict") for row in shown.all()} == {verdict}
    assert page.locator("form.filter output").inner_text() == f"{shown.count()} of {everything}"


def test_a_command_is_copied_or_selected(desk):
    page = desk.go(SITES[0] / "index.html")
    button = page.locator("button.copy").first
    button.click()
    page.wait_for_function(
        "['Copied', 'Selected'].includes(document.querySelector('button.copy').textContent)"
    )


def test_two_runs_are_compared(desk):
    runs = SITES[0] / "runs"
    a, b = [page.stem for page in sorted(runs.glob("*.html")) if len(page.stem) == 12][:2]
    page = desk.go(runs / "compare.html", f"?a={a}&b={b}")
    heads = page.locator("#difference thead th").all_inner_texts()
    assert heads == ["Setting", a, b]
    assert page.locator("#difference tbody tr").count() > 0
    page.fill("[name=b]", a)
    assert page.locator("#difference").inner_text() == "Their settings are the same."


def test_the_slider_turns_the_verdict(desk):
    page = desk.go(SITES[0] / "method.html")
    badge = page.locator("#slider .turning .badge")
    low, high = (float(page.get_attribute("#slider", f"data-{end}")) for end in ("low", "high"))
    width = high - low

    def moved_to(value):
        page.evaluate(
            """(value) => {
                const slider = document.querySelector("#slider [name=reported]");
                slider.value = value;
                slider.dispatchEvent(new Event("input", {bubbles: true}));
            }""",
            value,
        )
        return badge.inner_text().split()[-1]

    places = [low - width / 2, low + width / 4, (low + high) / 2, high - width / 4, high + width / 2]
    assert list(map(moved_to, places)) == ["differs", "reproduced", "reproduced", "reproduced", "differs"]


def with_curves():
    """The figure page with most curves of single seeds."""
    found = [
        page
        for site in SITES
        for page in site.rglob("figures/*.html")
        if 'class="charts"' in page.read_text()
    ]
    return max(found, key=lambda page: page.stat().st_size, default=None)


def test_curves_answer(desk):
    path = with_curves()
    if path is None:
        pytest.skip("no figure of curves is drawn")
    page = desk.go(path)
    chart = page.locator(".chart").first
    chart.locator("canvas").wait_for()
    canvas = chart.locator(".u-over")
    box = canvas.bounding_box()
    canvas.scroll_into_view_if_needed()
    canvas.hover(position={"x": box["width"] / 2, "y": box["height"] / 2})
    assert chart.locator(".read").inner_text().startswith("epoch ")
    picture = chart.locator("canvas").first

    def drawn():
        return picture.evaluate("(canvas) => canvas.toDataURL()")

    coloured = picture.evaluate(
        """(canvas) => {
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            let count = 0;
            for (let i = 0; i < pixels.length; i += 4) {
                const [red, green, blue, alpha] = pixels.slice(i, i + 4);
                count += alpha > 128 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60;
            }
            return count;
        }"""
    )
    assert coloured > 100
    states = [drawn()]
    for name in ("each seed", "logarithmic axis"):
        box = chart.get_by_label(name)
        if box.count():
            box.check()
            picture = chart.locator("canvas").first
            states.append(drawn())
    first = chart.locator("input[type=checkbox]").first
    first.uncheck()
    picture = chart.locator("canvas").first
    states.append(drawn())
    assert all(before != after for before, after in itertools.pairwise(states))


# ---- without a browser, but of every page ----


class Links(HTMLParser):
    """Addresses that a page leads to or shows, and the places in it that have a name."""

    def __init__(self):
        super().__init__()
        self.links, self.ids = [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.links += [given[key] for key in ("href", "src") if given.get(key)]
        if given.get("id"):
            self.ids.append(given["id"])


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.parent.name)
def test_no_link_is_broken_and_no_page_is_heavy(site):
    parsed = {}
    for path in pages_of(site):
        assert path.stat().st_size < MOST_BYTES, path
        parsed[path] = Links()
        parsed[path].feed(path.read_text())
    for path, found in parsed.items():
        assert len(found.ids) == len({*found.ids}), path
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "data"):
                assert link.startswith("data:") or parts.scheme == "https" or "://" in link
                continue
            target = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
            assert target.is_file(), f"{path}: {link}"
            if parts.fragment and target in parsed:
                assert unquote(parts.fragment) in parsed[target].ids, f"{path}: {link}"
