"""The course page: built once with a public address set, checked as files, then looked at in Chromium (`make site`)."""

import functools
import http.server
import json
import re
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

import medcourse as mc
from medcourse.teaching.launch import address_of, badges
from tests.scratch import ROOT, copy_of_the_repository

SITE = ROOT / "docs" / "site"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
URLS = '\n[project.urls]\nRepository = "https://github.com/an-owner/a-course"\n'
LESSON = "course/notebooks/02_single_class_collapse.html"
KINDS = ("README.html", LESSON, "course/glossary.html", "docs/site/api.html", "search.html")  # one page of each kind
PATIENCE = 200_000  # milliseconds until something must have happened; nothing waits that long without need
SCREENS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


def test_each_link_that_leads_nowhere_and_each_picture_without_alt_text_is_found(tmp_path):
    problems_of = runpy.run_path(str(SITE / "check.py"))["problems_of"]
    (tmp_path / "a.html").write_text('<h1 id="top">A</h1><a href="b%20c.html#there">B</a><img src="p.png" alt="A dot">')
    (tmp_path / "b c.html").write_text(
        '<p id="there"></p><a href="https://example.org/none">away</a><a href="#there">up</a>'
    )
    (tmp_path / "p.png").touch()
    assert problems_of(tmp_path) == []
    (tmp_path / "d.html").write_text(
        '<a href="none.html">1</a><a href="a.html#none">2</a><a href="#none">3</a><img src="p.png" alt=" "><img src="./p.png" alt="p.png"><script src="x.js"></script>'
    )
    assert problems_of(tmp_path) == [
        "d.html: the picture p.png has no alt text",
        "d.html: the picture ./p.png has no alt text",
        "d.html: the link none.html leads nowhere",
        "d.html: the link a.html#none leads nowhere: that page has no #none",
        "d.html: the link #none leads nowhere: that page has no #none",
        "d.html: the link x.js leads nowhere",
    ]


def test_every_public_name_stands_on_the_page_of_names():
    page = (SITE / "api.md").read_text(encoding="utf-8")
    named = {
        line.split(":: ")[1] for line in page.splitlines() if line.startswith((".. autofunction::", ".. autoclass::"))
    }
    assert named == set(mc._HOME)
    for module in mc._ROOMS.values():
        assert f".. automodule:: medcourse.{module}\n" in page


@pytest.mark.parametrize("urls", ["", URLS])
def test_launch_buttons_follow_from_the_address(tmp_path, urls):
    settings = shutil.copytree(SITE, tmp_path / "docs" / "site") / "conf.py"
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "a-course"\n{urls}')
    options = runpy.run_path(str(settings))["html_theme_options"]
    assert ("launch_buttons" in options) == ("repository_url" in options) == bool(urls)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site of a copy of the repository that has a public address."""
    pytest.importorskip("sphinx_book_theme", reason="needs Sphinx: pip install 'medcourse[site]'")
    folder = tmp_path_factory.mktemp("site")
    repository = copy_of_the_repository(folder / "repository")
    settings = repository / "pyproject.toml"
    project = re.sub(r"^\[project\.urls\]\n(\w.*\n)+", "", settings.read_text(encoding="utf-8"), flags=re.MULTILINE)
    settings.write_text(project + URLS, encoding="utf-8")
    links = badges(address_of(repository / "course"))  # as docs/refresh_pages.py puts them there
    for page in (repository / "README.md", repository / "course" / "README.md"):
        begin = "<!-- launch: docs/refresh_pages.py -->\n"
        page.write_text(page.read_text(encoding="utf-8").replace(begin, begin + links), encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", "docs/site", ".", folder / "html"]
    subprocess.run(command, cwd=repository, check=True)
    return folder / "html"


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    """The site, served."""
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    pytest.importorskip("playwright", reason="needs playwright: pip install 'medcourse[dev]'")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, request):
    """A page as wide and as dark as the test asks for."""
    context = browser.new_context(**SCREENS[getattr(request, "param", "desktop")])
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def pages_of(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html") if "_static" not in path.parts)


@pytest.mark.slow
def test_the_site_holds_every_lesson_and_page_with_its_solutions_folded(site):
    lessons = [f"course/notebooks/{path.stem}.html" for path in (ROOT / "course" / "source").glob("*.py")]
    pages = ["index", "course/README", "course/glossary", "course/references", "course/INSTRUCTORS", "docs/FINDINGS"]
    assert {*lessons, *(f"{name}.html" for name in pages), "docs/site/api.html"} <= set(pages_of(site))
    for lesson in lessons:
        html = (site / lesson).read_text(encoding="utf-8")
        folded = [part.split("</summary>")[0] for part in html.split("<summary")[1:]]
        assert sum("A solution" in words for words in folded) >= 4
        assert sum("The check" in words for words in folded) >= 4
        assert "### BEGIN" not in html
    assert (site / "index.html").read_bytes() == (site / "README.html").read_bytes()


@pytest.mark.slow
def test_the_start_page_has_links_to_binder_and_colab_without_pictures_of_other_servers(site):
    html = (site / "index.html").read_text(encoding="utf-8")
    assert re.search(r'href="https://mybinder\.org/v2/gh/an-owner/a-course/main[^"]*">Open in Binder</a>', html)
    assert re.search(r'href="https://colab\.[^"]*/01_look_first\.ipynb">Open in Colab</a>', html)
    assert "badge" not in html.partition("<article")[2].partition("</article>")[0]


@pytest.mark.slow
def test_the_instructors_answers_are_found_by_their_list_alone(site):
    """Their pages show answers in the open, so neither the menu nor a search leads a student there."""
    listed = [f"instructors/{path.stem}.html" for path in (ROOT / "course" / "source").glob("*.py")]
    assert [page for page in listed if page not in (site / "course" / "INSTRUCTORS.html").read_text("utf-8")] == []
    assert "instructors/" not in (site / "index.html").read_text("utf-8")
    assert "Expect this wrong answer" in (site / "course" / listed[0]).read_text("utf-8")
    searched = json.loads(
        (site / "searchindex.js").read_text("utf-8").removeprefix("Search.setIndex(").removesuffix(")")
    )
    assert "To discuss in class" not in searched["alltitles"]


@pytest.mark.slow
def test_what_a_function_returns_is_told_as_one_sentence(site):
    html = (site / "docs" / "site" / "api.html").read_text("utf-8")
    assert "Return type" not in html
    assert "One row per data set (index <code" in html


@pytest.mark.slow
def test_a_lesson_opens_in_binder_and_in_colab_from_its_page(site):
    html = (site / LESSON).read_text(encoding="utf-8")
    notebook = LESSON.replace(".html", ".ipynb")
    assert f"https://mybinder.org/v2/gh/an-owner/a-course/main?urlpath=lab/tree/{notebook}" in html
    assert f"https://colab.research.google.com/github/an-owner/a-course/blob/main/{notebook}" in html


@pytest.mark.slow
@pytest.mark.parametrize("page", SCREENS, indirect=True)
def test_no_page_has_an_error_in_the_browsers_console_or_is_too_wide(page, address, site):
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("response", lambda response: said.append(response.url) if response.status >= 400 else None)
    wide = {}
    for name in pages_of(site):
        page.goto(address + name)
        page.wait_for_load_state("networkidle")
        if over := page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"):
            wide[name] = over
    assert said == []
    assert wide == {}


@pytest.mark.slow
@pytest.mark.parametrize("page", SCREENS, indirect=True)
def test_axe_has_no_serious_finding(page, address):
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe-core: pip install 'medcourse[dev]'")
    script = (resources.files(axe) / "axe.min.js").read_text(encoding="utf-8")
    found = {}
    for name in KINDS:
        page.goto(address + name)
        page.evaluate(script)
        violations = page.evaluate(
            "axe.run({resultTypes: ['violations'], preload: false}).then(result => result.violations)"
        )
        grave = [(v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in ("serious", "critical")]
        if grave:
            found[name] = grave
    assert found == {}, json.dumps(found, indent=1)


@pytest.mark.slow
def test_the_reader_searches_goes_dark_and_opens_a_solution(page, address):
    from playwright.sync_api import expect

    page.goto(f"{address}search.html?q=melanoma")
    expect(page.get_by_text("Search finished")).to_be_visible()
    result = page.locator("#search-results a", has_text="One class only").first
    result.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("One class only")

    page.get_by_role("button", name="Color mode").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"

    solution = page.locator("details", has=page.get_by_text("A solution", exact=True)).first
    code = solution.locator("pre").first
    expect(code).to_be_hidden()
    solution.locator("summary").click()
    expect(code).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("page", ["phone"], indirect=True)
def test_on_a_phone_the_menus_open_and_lead_on(page, address):
    from playwright.sync_api import expect

    page.goto(address + LESSON)
    page.locator(".secondary-toggle:visible").click()
    page.get_by_role("dialog").get_by_role("link", name="References").click()
    expect(page).to_have_url(f"{address}{LESSON}#references")
    page.goto(address + LESSON)
    page.locator(".primary-toggle:visible").click()
    page.get_by_role("dialog").get_by_role("link", name="Glossary").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Glossary")
