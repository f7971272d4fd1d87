"""Other libraries on what we write, and we on what they write: tiny random weights."""

from dataclasses import replace

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image as PIL

from racm3.data.sample_world import corpus
from racm3.document import Document, Image
from racm3.errors import CheckpointError, ConfigError
from racm3.generation.engine import Engine
from racm3.generation.sampling import GREEDY
from racm3.model.export import open_generator
from racm3.model.growing import extended
from racm3.recipes.collection import Beginning
from racm3.retrieval.embedding import Dropout, embed
from racm3.retrieval.shelf import ListShelf
from racm3.retrieval.siglip import open_dual
from racm3.runtime import dice, save_json
from racm3.system import RACM3, Settings
from racm3.system.exporting import export_transformers, push
from racm3.tokens.codec import flatten
from racm3.tokens.placing import Placing
from racm3.tokens.text import TextTokenizer
from racm3.tokens.vocabulary import Vocabulary
from tests.conftest import picture, tiny_generator
from tests.generation.test_engine import Anything, request

transformers = pytest.importorskip("transformers", reason="needs racm3[dev]")
DOCUMENTS = [Document.of(f"a {name}", picture(n)) for n, name in enumerate(("cat", "dog", "cow"))]


@pytest.fixture(scope="module")
def exported(system: RACM3, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "tiny"
    export_transformers(system.parts, "racm3", folder)
    return folder


def test_their_tokenizer_writes_our_ids(exported, system: RACM3):
    theirs = transformers.AutoTokenizer.from_pretrained(exported)
    codec = system.codec
    written = codec.encode(system.parts.shelf.documents([0, 1]))
    ids = [codec.vocabulary.end, *flatten(written[0], codec.vocabulary)]
    ids += [codec.vocabulary.masks[3], codec.vocabulary.eoss, codec.vocabulary.pad]
    said = theirs.decode(ids, skip_special_tokens=False)
    unwritten = said.replace("</s> a", "</s>a")
    for text in (said, unwritten):
        assert theirs(text, add_special_tokens=False)["input_ids"] == ids
    assert unwritten.startswith("</s>a apple<break><code:")
    assert said.endswith("<mask:3><eoss><pad>")
    assert len(theirs) == len(codec.vocabulary)


def test_their_model_continues_a_prompt_to_our_ids(exported, system: RACM3):
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    model = transformers.AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32)
    prompt = tokenizer("</s>an apple<break>", return_tensors="pt", add_special_tokens=False)
    start = prompt["input_ids"].shape[1]
    theirs = model.generate(
        **prompt, max_new_tokens=20, min_new_tokens=20, do_sample=False
    )[0, start:]  # fmt: skip
    vocabulary = system.codec.vocabulary

    class All(Anything):
        def legal(self, places):
            return torch.ones(len(places), len(vocabulary), dtype=torch.bool)

    asked = request(
        streams=[prompt["input_ids"][0].tolist()], grammar=All(vocabulary), longest=20,
        sampling=GREEDY,
    )  # fmt: skip
    plain = Engine(open_generator(exported), Placing(vocabulary, 16))
    assert plain.generate(asked)[0].ids == theirs.tolist()


def test_what_qwen3_does_not_have_is_not_exported(system: RACM3, tmp_path):
    vocabulary = len(system.codec.vocabulary)
    placed = replace(system.parts, generators={"racm3": tiny_generator(vocabulary, period=16)})
    for parts in (placed, replace(system.parts, align=32)):
        with pytest.raises(ConfigError, match="Qwen3 does not know"):
            export_transformers(parts, "racm3", tmp_path / "x")
    with pytest.raises(ConfigError, match="no generator"):
        export_transformers(system.parts, "gpt", tmp_path / "x")


def test_pushing_uploads_what_was_exported_and_only_that(exported, tmp_path, monkeypatch):
    calls = []

    class Hub:
        def create_repo(self, name, **options):
            calls.append((name, options["private"]))
            return f"hub/{name}"

        def upload_folder(self, **options):
            calls.append(options["folder_path"])

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    assert push(exported, "me/tiny") == "hub/me/tiny"
    assert calls == [("me/tiny", True), str(exported)]
    with pytest.raises(ConfigError, match="racm3 export"):
        push(tmp_path, "me/tiny")


@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model_keeps_its_text_scores_when_it_learns_new_ids(tmp_path, tied):
    config = transformers.Qwen3Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=64,
        tie_word_embeddings=tied,
    )  # fmt: skip
    theirs = transformers.Qwen3ForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path)
    ours = extended(open_generator(tmp_path), text=60, vocabulary=200)
    ids = torch.arange(24).reshape(2, 12)
    with torch.inference_mode():
        expected, logits = theirs(ids).logits[..., :60], ours(ids)
    assert logits.shape[-1] == 200
    vocabulary = Vocabulary(60, 120)
    begun = Beginning(weights=tmp_path, extend=True).model(vocabulary, 0)
    assert begun.config.vocabulary == len(vocabulary)
    # Without being told so, weights of another vocabulary are never taken for text alone.
    assert Beginning(weights=tmp_path).model(vocabulary, 0).config.vocabulary == 64
    torch.testing.assert_close(logits[..., :60], expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(CheckpointError, match="tokenizer"):
        extended(open_generator(tmp_path), text=65, vocabulary=200)


@pytest.fixture(scope="module")
def siglip(tmp_path_factory):
    """A tiny SigLIP folder as `transformers` writes it, with a tokenizer of our own."""
    folder = tmp_path_factory.mktemp("siglip") / "tiny"
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 4}  # fmt: skip
    config = transformers.SiglipConfig(
        text_config={**sizes, "vocab_size": 320, "max_position_embeddings": 16,
                     "projection_size": 32, "eos_token_id": 1, "bos_token_id": 2,
                     "pad_token_id": 0},
        vision_config={**sizes, "image_size": 16, "patch_size": 8},
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.SiglipModel(config).save_pretrained(folder)
    TextTokenizer.train(corpus.captions("seen", 200)[:300], size=320).save(folder)
    save_json(folder / "preprocessor_config.json", {
        "size": {"height": 16, "width": 16}, "resample": 2,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    })  # fmt: skip
    return folder


def test_siglip_says_what_transformers_says(siglip):
    ours = open_dual(siglip)
    theirs = transformers.SiglipModel.from_pretrained(siglip).eval()
    shown = Image(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    resized = np.array(shown.pil().resize((16, 16), PIL.Resampling.BILINEAR))
    pixels = (torch.from_numpy(resized).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
    ids = ours.tokenizer.encode("a red cat").ids
    padded = torch.tensor([[*ids, 1, *[0] * (15 - len(ids))]])
    with torch.inference_mode():
        output = theirs(input_ids=padded, pixel_values=pixels)
    np.testing.assert_allclose(ours.texts(["a red cat"]), output.text_embeds.numpy(), atol=1e-5)
    np.testing.assert_allclose(ours.images([shown]), output.image_embeds.numpy(), atol=1e-5)
    long = "a red cat on a blue background and more of it " * 4
    assert len(ours.windows(long)) > 1
    blurred = ours.images([shown], Dropout(0.5, np.random.default_rng(1)))
    assert not np.allclose(blurred, ours.images([shown]))


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_long_texts_and_many_pictures_are_encoded_some_at_a_time(
    siglip, encoder, monkeypatch, kind
):
    asked, some = open_dual(siglip) if kind == "siglip" else encoder, list[int]()
    texts, pictures = ["a red boat " * 60, "a dog"], [picture(i) for i in range(7)]

    def counted(do):
        return lambda given, *more: (some.append(len(given)), do(given, *more))[1]

    def said() -> list[np.ndarray]:
        dropout = Dropout(0.3, dice(0))
        return [asked.texts(texts), asked.images(pictures), asked.images(pictures, dropout)]

    at_once = said()
    monkeypatch.setattr("racm3.retrieval.encoder.MOST_AT_ONCE", 3)
    for name in ("_read", "_seen"):
        monkeypatch.setattr(asked, name, counted(getattr(asked, name)))
    for one, other in zip(said(), at_once, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert max(some) == 3


def test_a_system_with_siglip_is_saved_and_opened(siglip, system: RACM3, tmp_path):
    encoder = open_dual(siglip)
    shelf = ListShelf(DOCUMENTS, embed(encoder, DOCUMENTS))
    made = RACM3(replace(system.parts, encoder=encoder, shelf=shelf))
    made.save(tmp_path / "system")
    again = RACM3.open(tmp_path / "system", memory=shelf, device="cpu")
    one, other = (each.draw("an apple", Settings(seed=1)) for each in (made, again))
    assert one.image == other.image
    assert [c.id for c in one.consulted] == [c.id for c in other.consulted]


def test_another_kind_of_encoder_is_named(siglip, tmp_path):
    save_json(tmp_path / "config.json", {"model_type": "blip"})
    with pytest.raises(CheckpointError, match="'blip'"):
        open_dual(tmp_path)
