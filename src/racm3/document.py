"""Documents: what people write, what the memory holds, and what the generator continues."""

import hashlib
import io
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, ImageOps, UnidentifiedImageError
from PIL import Image as PIL

from racm3.errors import DocumentError

MOST_PIXELS = 64_000_000
# Of a photograph's shorter side: no encoder takes more.
PLENTY = 1024
# Longer than so many times its shorter side, a picture is a strip.
STRIP = 8
# What decoders raise; a damaged HEIC may be a RuntimeError or the end of a file.
UNREADABLE = (OSError, EOFError, ValueError, SyntaxError, RuntimeError, PIL.DecompressionBombError)
# Of a picture in several sizes: more than the encoders that know sizes look at.
ENOUGH = 256


@dataclass(frozen=True, slots=True)
class Text:
    content: str


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A picture.

    Args:
        pixels: RGB, upright.
        encoded: The bytes that it was read from, which a memory keeps as they are.
    """

    pixels: UInt8[np.ndarray, "height width 3"]
    encoded: bytes = field(default=b"", repr=False)

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    def pil(self) -> PIL.Image:
        return PIL.fromarray(self.pixels)

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.pil().save(buffer, format="PNG")
        return buffer.getvalue()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and np.array_equal(self.pixels, other.pixels)

    def __hash__(self) -> int:
        return hash((self.pixels.shape, self.digest()))

    def digest(self) -> str:
        """A fingerprint of the pixels: documents with the same picture share it."""
        made = hashlib.sha256(f"{self.height}x{self.width}".encode())
        made.update(np.ascontiguousarray(self.pixels).data)
        return made.hexdigest()[:32]

    @classmethod
    def of(cls, picture: PIL.Image, encoded: bytes = b"") -> "Image":
        """From any Pillow picture; transparency is laid on white, 16 bits of grey become 8.

        Raises:
            ValueError: Its pixels are fractions, and nothing says which one is white.
        """
        if picture.mode == "F":
            raise ValueError("its pixels are fractions; save it with 8 or 16 bits")
        if picture.mode.startswith("I"):  # which Pillow cuts off at 255
            picture = PIL.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            white = PIL.new("RGBA", picture.size, (255, 255, 255, 255))
            picture = PIL.alpha_composite(white, picture)
        rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
        return cls(np.asarray(rgb), encoded)

    @classmethod
    def decode(cls, data: bytes, *, name: str = "the picture", whole: bool = False) -> "Image":
        """From PNG, JPEG, WebP, ... bytes, upright where a camera was not (EXIF); a truncated or
        absurdly large picture is refused.

        A JPEG is read at a half, a quarter or an eighth of its size, which its decoder does in a
        third of the time, where its shorter side still has 1,024 pixels; `whole` reads all of it,
        for who counts its pixels.
        """
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module="PIL")
                picture = _opened(data, name)
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    raise DocumentError(
                        f"{name} is {width}x{height} pixels, more than the {MOST_PIXELS:,} "
                        "that are accepted; make it smaller first"
                    )
                if not whole:
                    picture.draft(None, (PLENTY, PLENTY))
                picture.load()
                return cls.of(upright(picture), data)
        except DocumentError:
            raise
        except UNREADABLE as error:
            unknown = isinstance(error, UnidentifiedImageError)
            reason = "no known format" if unknown else str(error).strip()
            raise DocumentError(
                f"{name} cannot be read as a picture ({reason}); "
                "a complete PNG, JPEG or WebP file is expected"
            ) from error

    @classmethod
    def read(cls, path: str | Path, *, whole: bool = False) -> "Image":
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DocumentError(f"cannot read the picture {path}: {error.strerror}") from error
        return cls.decode(data, name=str(path), whole=whole)


def _opened(data: bytes, name: str) -> PIL.Image:
    """By Pillow; an iPhone's HEIC by pillow-heif, which is registered when the first one comes."""
    try:
        return PIL.open(io.BytesIO(data))
    except UnidentifiedImageError:
        if data[4:8] != b"ftyp":
            raise
    try:
        from pillow_heif import register_heif_opener
    except ImportError as missing:
        raise DocumentError(
            f"{name} seems to be HEIC, which needs `pip install pillow-heif`; or make a JPEG of it"
        ) from missing
    register_heif_opener()
    return PIL.open(io.BytesIO(data))


def upright(picture: PIL.Image) -> PIL.Image:
    """Turned as its camera says (EXIF), the very picture where that is nothing; a damaged EXIF says
    nothing."""
    try:
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return ImageOps.exif_transpose(picture) if turned else picture
    except (struct.error, SyntaxError, ValueError, OSError):
        return picture


def middle(picture: PIL.Image) -> PIL.Image:
    """The picture, or of a strip the part around its centre, which is all that a square crop sees:
    enlarged whole, a strip of some kilobytes would fill the RAM."""
    most = STRIP * min(picture.size)
    # As odd or even as the whole, so that the centre stays where it is.
    width, height = (n if n <= most else most - (n - most) % 2 for n in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    strip = picture.size != (width, height)
    return picture.crop((left, top, left + width, top + height)) if strip else picture


def fit(picture: Image, side: int) -> Image:
    """A square of `side` pixels: resize so the shorter side fits, then crop the centre."""
    if picture.height == picture.width == side:
        return picture
    whole = middle(picture.pil())
    scale = side / min(whole.size)
    width, height = (max(side, round(n * scale)) for n in whole.size)
    resized = whole.resize((width, height), PIL.Resampling.BICUBIC)
    left, top = (width - side) // 2, (height - side) // 2
    return Image.of(resized.crop((left, top, left + side, top + side)))


def reduced(picture: Image, most: int) -> Image:
    """The picture itself, or a smaller one where its shorter side has more than `most` pixels."""
    shorter = min(picture.height, picture.width)
    if shorter <= most:
        return picture
    width, height = (round(n * most / shorter) for n in (picture.width, picture.height))
    return Image.of(picture.pil().resize((width, height), PIL.Resampling.BICUBIC))


def shrunk(square: Image, size: float) -> Image:
    """The picture so large in the middle of white."""
    if size == 1:
        return square
    side = round(square.width * size)
    canvas = PIL.new("RGB", (square.width, square.height), "white")
    place = (square.width - side) // 2
    canvas.paste(square.pil().resize((side, side), PIL.Resampling.LANCZOS), (place, place))
    return Image.of(canvas)


@dataclass(frozen=True, slots=True)
class Document:
    """Text and images in reading order; a captioned picture is the commonest kind."""

    parts: tuple[Text | Image, ...]

    @classmethod
    def of(cls, *parts: str | Image) -> "Document":
        return cls(tuple(Text(part) if isinstance(part, str) else part for part in parts))

    def only(self, kind: type[Text] | type[Image]) -> "Document":
        """One side of the document, as training queries use it so retrieval stays hard (§3.2)."""
        return Document(tuple(part for part in self.parts if isinstance(part, kind)))

    @property
    def text(self) -> str:
        return " ".join(part.content for part in self.parts if isinstance(part, Text))

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(part for part in self.parts if isinstance(part, Image))

    def reduced(self, most: int) -> "Document":
        """The same document with pictures of at most so many pixels on their shorter side."""
        parts = (reduced(p, most) if isinstance(p, Image) else p for p in self.parts)
        return Document(tuple(parts))

    def in_sizes(self, sizes: Sequence[float], side: int | None = None) -> "Document":
        """A document whose only picture is there in each size; any other one as it is.

        Args:
            sizes: Shares of a square, in whose middle the picture stands on white.
            side: The square's side in pixels; else the picture's shorter one, at most 256.
        """
        if len(self.images) != 1 or tuple(sizes) == (1.0,):
            return self
        (picture,) = self.images
        square = fit(picture, side or min(picture.height, picture.width, ENOUGH))
        shown = [shrunk(square, size) for size in sizes]
        parts = ([part] if isinstance(part, Text) else shown for part in self.parts)
        return Document(tuple(chain.from_iterable(parts)))

    def require_parts(self) -> "Document":
        """The document itself, or a sentence saying that there is nothing in it."""
        if not self.images and not self.text.strip():
            raise DocumentError("the document is empty: it has neither text nor a picture")
        return self
