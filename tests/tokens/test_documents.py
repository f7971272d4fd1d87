import contextlib
import io
import random
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PIL

from racm3.data.ahead import Tolerance
from racm3.data.sources import read_source
from racm3.document import Document, Image, Text, fit
from racm3.errors import DocumentError
from racm3.tokens.codec import Codec
from racm3.tokens.markup import from_html, to_html
from racm3.tokens.text import TextTokenizer, train_bpe
from racm3.tokens.vocabulary import Vocabulary
from tests.conftest import picture

parts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])).map(Text),
    st.integers(0, 3).map(lambda seed: picture(seed, 3, 5)),
)


@given(st.lists(parts, max_size=5))
def test_html_and_back_is_the_same_document(found):
    document = Document(tuple(found))
    assert from_html(to_html(document)) == document


def test_a_caption_becomes_the_alt_of_its_picture():
    assert to_html(Document.of('a "cat"', picture(0))).startswith(
        '<img alt="a &quot;cat&quot;" src='
    )


def test_markup_that_cannot_be_read_says_where():
    with pytest.raises(DocumentError, match="cannot be read at '<b>bold"):
        from_html("<p>fine</p><b>bold</b>")


some_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SAID = ["the flag of Bhutan", "a guitar on a red background"]
TOKENIZER, UNSPACED = TextTokenizer.train(SAID, size=280), TextTokenizer(train_bpe(SAID, size=280))


@pytest.mark.parametrize("tokenizer", [TOKENIZER, UNSPACED], ids=["spaced", "unspaced"])
@given(text=some_text, rest=some_text)
def test_any_text_survives_the_byte_level_tokenizer(tokenizer, text, rest):
    ids, more = tokenizer.encode(text), tokenizer.encode(rest, follows=True)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(more, follows=True) == rest
    if text:
        assert tokenizer.decode([*ids, *more]) == text + rest


def test_a_word_has_the_same_ids_wherever_it_stands(tmp_path):
    """The ids of a text are those of what stands before a space and of what stands after it."""
    TOKENIZER.save(tmp_path / "spaced")
    UNSPACED.save(tmp_path / "unspaced")
    spaced, unspaced = (TextTokenizer.open(tmp_path / one) for one in ("spaced", "unspaced"))
    for tokenizer in (TOKENIZER, spaced, unspaced.spaced()):
        whole = tokenizer.encode("a guitar on red")
        assert whole == [i for word in ("a", "guitar", "on", "red") for i in tokenizer.encode(word)]
        assert whole == [*tokenizer.encode("a guitar"), *tokenizer.encode(" on red", follows=True)]
    # Saved without the space, it stays so, and the names of ids are the same.
    assert unspaced.encode("guitar") == UNSPACED.encode("guitar") != TOKENIZER.encode("guitar")
    assert unspaced.encode("a guitar") == UNSPACED.encode("a guitar")
    assert unspaced.spaced().encode("a") == unspaced.encode(" a")


def test_every_id_belongs_to_exactly_one_kind():
    vocabulary = Vocabulary(10, 4)
    kinds = [*vocabulary.text, *vocabulary.image, *vocabulary.names()]
    assert sorted(kinds) == list(range(len(vocabulary)))


def test_codes_of_a_document_decode_to_its_reconstruction(codec: Codec):
    document = Document.of("a guitar", picture(3), "and an apple")
    segments = codec.encode([document])[0]
    ids = [i for s in segments for i in (*s.ids, codec.vocabulary.break_)]
    rebuilt = codec.decode([*ids, codec.vocabulary.end])
    assert rebuilt.only(Text) == document.only(Text)
    codes = codec.image.encode([document.images[0]])
    assert rebuilt.images[0] == codec.image.decode(codes)[0]


def test_a_picture_that_is_not_one_grid_is_refused(codec: Codec):
    with pytest.raises(DocumentError, match="do not make a picture of 16 codes"):
        codec.picture([codec.vocabulary.image.start] * 3)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 20), (9, 31), (3, 3)])
def test_fitting_keeps_the_centre_and_the_aspect(height, width):
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, width // 2 - 1 : width // 2 + 2] = 255
    square = fit(Image(pixels), 16)
    assert (square.height, square.width) == (16, 16)
    columns = square.pixels[8, :, 0].astype(float)
    centre = (columns * np.arange(16)).sum() / columns.sum()
    assert abs(centre - 7.5) < 1.5


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_strip_no_more_is_enlarged_than_is_seen(encoder, turned):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 400_001, 3), dtype=np.uint8)
    around = pixels[:, 200_000 - 10 : 200_001 + 10]
    strip, short = (Image(one.swapaxes(0, 1) if turned else one) for one in (pixels, around))
    near, exact = (fit(one, 64).pixels.astype(float) for one in (strip, short))
    assert np.abs(near - exact).mean() < 2
    assert (encoder.images([strip]) * encoder.images([short])).sum() > 0.999


def test_a_truncated_picture_is_refused_with_its_name():
    data = picture(0, 64, 64).png()
    with pytest.raises(DocumentError, match=r"cat\.png cannot be read as a picture"):
        Image.decode(data[: len(data) // 2], name="cat.png")


@pytest.mark.parametrize(("side", "reason"), [(9_000, "9000x9000 pixels, more"), (20_000, "bomb")])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(side, reason):
    buffer = io.BytesIO()
    PIL.new("1", (side, side)).save(buffer, format="PNG")
    with pytest.raises(DocumentError, match=reason):
        Image.decode(buffer.getvalue())


def test_a_photograph_stands_as_its_camera_says():
    """Orientation 6: the first column of the file is the top of the scene."""
    lying, about = PIL.new("RGB", (40, 20), "blue"), PIL.Exif()
    lying.paste("red", (30, 0, 40, 20))
    about[0x0112], about[0x010F] = 6, "maker"
    whole = about.tobytes()

    def photograph(said: bytes) -> Image:
        buffer = io.BytesIO()
        lying.save(buffer, format="JPEG", quality=100, exif=said)
        return Image.decode(buffer.getvalue())

    standing = photograph(whole)
    assert (standing.height, standing.width) == (40, 20)
    assert standing.pixels[37, 10, 0] > 200 > standing.pixels[10, 10, 0]
    # What is damaged is upright or not, and always the picture.
    rng = random.Random(0)
    for _ in range(300):
        said = bytearray(whole)
        said[rng.randrange(6, len(said))] = rng.randrange(256)
        stop = rng.choice([len(said), rng.randrange(6, len(said))])
        assert photograph(bytes(said[:stop])).pixels.size == 40 * 20 * 3


def photograph(height: int, width: int, form: str, turned: int = 1) -> bytes:
    rng, buffer, about = np.random.default_rng(0), io.BytesIO(), PIL.Exif()
    about[0x0112] = turned
    coarse = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    smooth = PIL.fromarray(coarse).resize((width, height), PIL.Resampling.BICUBIC)
    smooth.save(buffer, format=form, exif=about)
    return buffer.getvalue()


@pytest.mark.parametrize("turned", [1, 6])
@pytest.mark.parametrize(
    ("size", "form", "read"),
    [
        ((300, 411), "JPEG", (75, 103)),  # a quarter, rounded up
        ((150, 280), "JPEG", (75, 140)),
        ((127, 900), "JPEG", (127, 900)),  # half would be too few
        ((2000, 1600), "JPEG", (250, 200)),  # the decoder knows no less than an eighth
        ((300, 411), "PNG", (300, 411)),
    ],
)
def test_what_nobody_needs_more_of_is_read_small(monkeypatch, size, form, read, turned):
    monkeypatch.setattr("racm3.document.PLENTY", 64)
    data = photograph(*size, form, turned)
    whole, small = Image.decode(data, whole=True), Image.decode(data)
    assert small.pixels.shape[:2] == (read if turned == 1 else read[::-1])
    assert min(small.pixels.shape[:2]) >= 64
    assert small.encoded == whole.encoded == data
    near, exact = (fit(one, 32).pixels.astype(float) for one in (small, whole))
    assert np.abs(near - exact).mean() < 1.5
    with pytest.raises(DocumentError, match="cannot be read as a picture"):
        Image.decode(data[: len(data) // 2])


def test_a_telephones_heic_is_read(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    scene, about, buffer = PIL.new("RGB", (48, 32), "blue"), PIL.Exif(), io.BytesIO()
    scene.paste("red", (0, 0, 12, 32))
    about[0x0112] = 6
    heif.from_pillow(scene).save(buffer, format="HEIF", quality=90, exif=about.tobytes())
    (tmp_path / "IMG_0001.HEIC").write_bytes(buffer.getvalue())
    (tmp_path / "IMG_0001.txt").write_text("red on blue")
    (entry,) = read_source(tmp_path, Tolerance())
    assert entry.document.text == "red on blue", "one document, whatever case the suffix has"
    (seen,) = entry.document.images
    assert (seen.height, seen.width) == (48, 32), "upright"
    assert seen.pixels[6, 16, 0] > 200 > seen.pixels[40, 16, 0]
    assert seen.encoded == buffer.getvalue()
    rng = random.Random(0)
    for _ in range(400):
        broken = bytearray(buffer.getvalue())
        broken[rng.randrange(12, len(broken))] = rng.randrange(256)
        with contextlib.suppress(DocumentError):
            Image.decode(bytes(broken[: rng.choice([len(broken), rng.randrange(12, len(broken))])]))


def test_heic_without_its_reader_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DocumentError, match=r"a\.heic seems to be HEIC.*pip install pillow-heif"):
        Image.decode(b"\0\0\0\x18ftypheic" + bytes(40), name="a.heic")


def test_transparency_is_laid_on_white():
    clear = PIL.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert (Image.of(clear).pixels == 255).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_as_bright_as_eight(form):
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    buffer = io.BytesIO()
    PIL.fromarray(eight.astype(np.uint16) * 257).save(buffer, format=form)
    assert (Image.decode(buffer.getvalue()).pixels == eight[..., None]).all()


def test_pixels_that_are_fractions_are_refused():
    buffer = io.BytesIO()
    PIL.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)).save(buffer, format="TIFF")
    with pytest.raises(DocumentError, match=r"a\.tif cannot .* fractions; save it with 8 or 16"):
        Image.decode(buffer.getvalue(), name="a.tif")


def test_only_pictures_that_are_too_large_are_reduced():
    wide, small = picture(0, 30, 90), picture(1, 20, 50)
    document = Document.of("two", wide, small).reduced(20)
    assert document.text == "two"
    assert [one.pixels.shape for one in document.images] == [(20, 60, 3), (20, 50, 3)]
    assert document.images[1] is small
    assert document.reduced(20) == document
