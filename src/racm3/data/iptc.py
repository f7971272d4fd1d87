"""What a photograph says of itself: caption and keywords as photographers write them into it."""

import io
import struct
from typing import NamedTuple

from PIL import Image as PIL
from PIL.IptcImagePlugin import getiptcinfo

from racm3.document import UNREADABLE

# IPTC-IIM 4.2: 2:120 caption, 2:25 keyword, as often as there are some.
CAPTION, KEYWORD = (2, 120), (2, 25)


class Told(NamedTuple):
    caption: str = ""
    keywords: tuple[str, ...] = ()


def told(data: bytes) -> Told:
    """Of a JPEG or TIFF; nothing where nothing is written, or nothing that can be read."""
    try:
        with PIL.open(io.BytesIO(data)) as picture:
            found = getiptcinfo(picture) or {}
    except (*UNREADABLE, struct.error, LookupError):
        return Told()
    caption, keywords = ([_words(one) for one in _all(found.get(k))] for k in (CAPTION, KEYWORD))
    return Told(" ".join(caption).strip(), tuple(word for word in keywords if word))


def _all(value: bytes | list[bytes] | None) -> list[bytes]:
    return value if isinstance(value, list) else [value] if value else []


def _words(written: bytes) -> str:
    """UTF-8, which many write without saying so, or what came before it."""
    try:
        return written.decode("utf-8").strip()
    except UnicodeDecodeError:
        return written.decode("latin-1").strip()
