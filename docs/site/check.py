"""What is wrong with built pages: links that lead nowhere, and pictures that a screen reader cannot tell."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_ADDRESSES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}


class _Page(HTMLParser):
    """The ids, addresses and pictures of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.untold: list[str] = []  # pictures without alt text
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.update(name for name in (given.get("id"), given.get("name")) if name)
        if link := given.get(_ADDRESSES.get(tag, "")):
            self.links.append(link)
        source, alt = given.get("src") or "without a source", (given.get("alt") or "").strip()
        if tag == "img" and (
            not alt or alt.endswith(Path(source).suffix or "/")
        ):  # Sphinx writes the file's name for want of a text
            self.untold.append(source)


def problems_of(folder: Path) -> list[str]:
    """One line for each link within a site that leads nowhere, and for each picture without alt text.

    Addresses of other servers are not asked: they answer today and not tomorrow, and a build must not need them.
    """
    pages = {path.resolve(): _Page(path) for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts}
    return [
        f"{path.relative_to(folder.resolve())}: {problem}"
        for path, page in pages.items()
        for problem in _problems(path, page, pages)
    ]


def _problems(path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    yield from (f"the picture {picture} has no alt text" for picture in page.untold)
    for link in dict.fromkeys(page.links):
        address = urlsplit(link)
        if address.scheme or address.netloc:
            continue
        target = (path.parent / unquote(address.path)).resolve() if address.path else path
        if not target.is_file():
            yield f"the link {link} leads nowhere"
        elif address.fragment and target in pages and unquote(address.fragment) not in pages[target].ids:
            yield f"the link {link} leads nowhere: that page has no #{address.fragment}"
