"""The OpenAI endpoints through OpenAI's own client, over a real port."""

import base64
import io

import numpy as np
import openai
import pytest
from PIL import Image as PIL

from racm3.document import Document, Image
from racm3.interfaces.server.pictures import to_url
from racm3.retrieval.embedding import embed
from racm3.system import Settings
from racm3.system.rephrasing import Rephrasing
from tests.conftest import picture


@pytest.fixture
def ask(live):
    with openai.OpenAI(base_url=f"{live}/v1", api_key="none", max_retries=0) as client:
        yield client


def opened(written: str) -> Image:
    return Image.decode(base64.b64decode(written))


def hole(side: int = 16) -> bytes:
    rgba = np.full((side, side, 4), 255, dtype=np.uint8)
    rgba[side // 2 :, :, 3] = 0
    buffer = io.BytesIO()
    PIL.fromarray(rgba).save(buffer, format="PNG")
    return buffer.getvalue()


def test_images_are_drawn(ask, fresh):
    found = ask.images.generate(model="racm3", prompt="an apple", n=2, extra_body={"seed": 5})
    expected = fresh.draw("an apple", Settings(seed=5, candidates=2))
    assert [opened(one.b64_json) for one in found.data] == list(expected.images)
    assert found.racm3["consulted"][0]["title"] == expected.consulted[0].title


def test_whoever_is_read_in_other_words_is_told(ask, fresh):
    asked = {"model": "racm3", "prompt": "a red guitar"}
    assert ask.images.generate(**asked).data[0].revised_prompt is None
    rule = {r"a (?P<look>red) (?P<rest>.+)": r"a \g<rest> in \g<look>"}
    fresh.library.parts.rephrasing = Rephrasing(alone=rule)
    found = ask.images.generate(**asked)
    assert found.data[0].revised_prompt == "a guitar in red"
    assert opened(found.data[0].b64_json) == fresh.draw("a guitar in red").image


def test_images_come_in_parts(ask):
    events = list(ask.images.generate(
        model="racm3", prompt="an apple", stream=True, partial_images=2, extra_body={"seed": 5}
    ))  # fmt: skip
    assert events[-1].type == "image_generation.completed"
    assert all(one.type == "image_generation.partial_image" for one in events[:-1])
    whole = ask.images.generate(model="racm3", prompt="an apple", extra_body={"seed": 5})
    assert events[-1].b64_json == whole.data[0].b64_json


def test_images_are_edited_where_the_mask_is_transparent(ask):
    found = ask.images.edit(
        model="racm3",
        image=[("a.png", picture(1).png()), ("b.png", picture(2).png())],
        mask=("m.png", hole()),
        prompt="an apple",
    )
    filled = opened(found.data[0].b64_json)
    assert (filled.pixels[:8] == picture(1).pixels[:8]).all()
    assert [one["id"] for one in found.racm3["consulted"]] == [None]
    with pytest.raises(openai.BadRequestError, match="transparent"):
        ask.images.edit(image=("a.png", picture(1).png()), prompt="x")


def test_chat_describes_fills_and_draws(ask, fresh):
    shown = {"type": "image_url", "image_url": {"url": to_url(picture(1))}}
    told = ask.chat.completions.create(
        model="racm3", messages=[{"role": "user", "content": [shown]}], seed=5, n=2
    )
    expected = fresh.caption(picture(1), Settings(seed=5, candidates=2))
    assert [one.message.content for one in told.choices] == list(expected.texts)
    filled = ask.chat.completions.create(
        model="racm3", messages=[{"role": "user", "content": "a ___ apple"}]
    )
    assert filled.choices[0].message.content.startswith("a ")
    drawn = ask.chat.completions.create(
        model="cm3", messages=[{"role": "user", "content": "an apple"}]
    )
    assert drawn.choices[0].message.content.startswith("![an apple](data:image/png;base64,")


def test_a_gap_that_is_filled_comes_as_one_text_in_a_stream(ask):
    """Two ways to fill it are tried, and neither is the text that is answered."""
    asked = {"model": "racm3", "messages": [{"role": "user", "content": "an ___ on a table"}]}
    whole = ask.chat.completions.create(**asked).choices[0].message.content
    chunks = list(ask.chat.completions.create(**asked, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole


def test_chat_streams_words_that_add_up(ask):
    shown = {"type": "image_url", "image_url": {"url": to_url(picture(1))}}
    asked = {"model": "racm3", "messages": [{"role": "user", "content": [shown]}], "seed": 5}
    whole = ask.chat.completions.create(**asked).choices[0].message.content
    chunks = list(ask.chat.completions.create(**asked, stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    said = "".join(one.choices[0].delta.content or "" for one in chunks)
    assert said == whole


def test_embeddings_are_what_the_memory_is_searched_by(ask, fresh):
    texts = ["an apple", to_url(picture(1))]
    found = ask.embeddings.create(model="clip", input=texts, encoding_format="float")
    expected = embed(fresh.encoder, [Document.of("an apple"), Document.of(picture(1))])
    np.testing.assert_allclose([one.embedding for one in found.data], expected, atol=1e-6)


def test_models_are_listed_and_unknown_ones_refused(ask):
    assert {one.id for one in ask.models.list()} == {"racm3", "cm3"}
    with pytest.raises(openai.NotFoundError, match="no generator"):
        ask.images.generate(model="dall-e", prompt="an apple")
