"""A folder of Markdown or HTML pages as interleaved documents, one a page."""

from collections.abc import Iterator, Sequence
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from racm3.data.ahead import Found
from racm3.document import Document, Image, Text
from racm3.errors import DocumentError
from racm3.retrieval.entry import Entry

PAGES = {".md", ".markdown", ".html", ".htm"}
BLOCKS = {"p", "div", "li", "h1", "h2", "h3", "h4", "h5", "h6", "td", "th", "figcaption", "pre"}
UTF8 = "utf-8-sig"  # with or without the mark that Excel and Notepad put before it
SILENT = {"script", "style", "head", "template"}


def find_pages(root: Path, pages: Sequence[Path]) -> Iterator[Found]:
    """Texts and pictures in reading order; pictures must lie inside the folder."""
    return (Found(str(page), partial(read_page, root, page)) for page in pages)


def shows_pictures(page: Path) -> bool:
    written = page.read_text(encoding=UTF8, errors="replace")
    return "![" in written or "<img" in written.lower()


def read_page(root: Path, page: Path) -> Entry:
    written = page.read_text(encoding=UTF8)
    if page.suffix.lower() in (".md", ".markdown"):
        from markdown_it import MarkdownIt

        written = MarkdownIt().render(written)
    reader = Reader()
    reader.feed(written)
    reader.close()
    parts = list[Text | Image]()
    for kind, value in reader.found():
        if kind == "text":
            parts.append(Text(value))
        else:
            data = local(root, page, value).read_bytes()
            parts.append(Image.decode(data, name=f"{page}: {value}"))
    return Entry(Document(tuple(parts)).require_parts(), str(page))


def local(root: Path, page: Path, source: str) -> Path:
    """The file that a picture's address names; nothing is fetched, nothing outside is read."""
    split = urlsplit(source)
    if split.scheme or split.netloc:
        raise DocumentError(f"the picture {source!r} is not a file; download it beside the page")
    path = (page.parent / unquote(split.path)).resolve()
    if not path.is_relative_to(root.resolve()):
        raise DocumentError(f"the picture {source!r} lies outside of {root}")
    return path


class Reader(HTMLParser):
    """Paragraphs and pictures; a picture's alternative text is a text before it."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self.silent += 1
        if tag in BLOCKS or tag == "img":
            self.flush()
        if tag == "img":
            values = dict(attrs)
            self.words.append(values.get("alt") or "")
            self.flush()
            self.parts.append(("image", values.get("src") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self.silent -= 1
        if tag in BLOCKS:
            self.flush()

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.words.append(data)

    def flush(self) -> None:
        text = " ".join("".join(self.words).split())
        if text:
            self.parts.append(("text", text))
        self.words = []

    def found(self) -> list[tuple[str, str]]:
        """Neighbouring paragraphs are one text: a segment ends where a picture begins."""
        self.flush()
        joined: list[tuple[str, str]] = []
        for kind, value in self.parts:
            if joined and kind == joined[-1][0] == "text":
                joined[-1] = ("text", f"{joined[-1][1]}\n{value}")
            else:
                joined.append((kind, value))
        return joined
