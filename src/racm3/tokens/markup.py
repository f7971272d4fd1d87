"""Documents as people write them: CM3's HTML form, exactly there and back (arXiv 2201.07520 §2)."""

import base64
import html
import re
from collections.abc import Callable

from racm3.document import Document, Image, Text
from racm3.errors import DocumentError

_TAG = re.compile(r'<img(?: alt="([^"]*)")? src="([^"]*)">')


def to_html(document: Document) -> str:
    """Text is escaped; a text followed by a picture becomes its `alt`, as CM3 writes pairs."""
    written: list[str] = []
    waiting: str | None = None
    for part in document.parts:
        if isinstance(part, Text):
            if waiting is not None:
                written.append(paragraph(waiting))
            waiting = part.content
        else:
            alt = "" if waiting is None else f' alt="{html.escape(waiting)}"'
            data = base64.b64encode(part.png()).decode()
            written.append(f'<img{alt} src="data:image/png;base64,{data}">')
            waiting = None
    if waiting is not None:
        written.append(paragraph(waiting))
    return "".join(written)


def paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def from_html(markup: str, *, fetch: Callable[[str], Image] | None = None) -> Document:
    """The document that `to_html` wrote; `fetch` opens a `src` that is not a data: URI."""
    parts: list[Text | Image] = []
    rest = markup
    while rest:
        if match := _TAG.match(rest):
            if match[1] is not None:
                parts.append(Text(html.unescape(match[1])))
            parts.append(_picture(match[2], fetch))
        elif match := re.match(r"<p>(.*?)</p>", rest, re.DOTALL):
            parts.append(Text(html.unescape(match[1])))
        elif match := re.match(r"\s+", rest):
            pass
        else:
            raise DocumentError(
                f"the markup cannot be read at {rest[:40]!r}; "
                '<p>text</p> and <img alt="text" src="..."> are expected'
            )
        rest = rest[match.end() :]
    return Document(tuple(parts))


def _picture(source: str, fetch: Callable[[str], Image] | None) -> Image:
    if source.startswith("data:") and ";base64," in source:
        try:
            return Image.decode(base64.b64decode(source.split(",", 1)[1], validate=True))
        except ValueError as error:
            raise DocumentError(f"a data: URI in the markup is damaged ({error})") from error
    if fetch is None:
        raise DocumentError(f"the markup names the picture {source!r}, which cannot be opened here")
    return fetch(html.unescape(source))
