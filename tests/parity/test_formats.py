"""Other libraries on what we write, and we on what they write: tiny random weights."""

from dataclasses import replace

import huggingface_hub
import pytest
import torch

from racm3.errors import CheckpointError, ConfigError
from racm3.generation.engine import Engine
from racm3.generation.sampling import GREEDY
from racm3.model.export import extended, open_generator
from racm3.system import RACM3
from racm3.system.exporting import export_transformers, push
from racm3.tokens.codec import flatten
from racm3.tokens.placing import Placing
from tests.conftest import tiny_generator
from tests.generation.test_engine import Anything, request

transformers = pytest.importorskip("transformers", reason="needs racm3[dev]")


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
    assert theirs(said, add_special_tokens=False)["input_ids"] == ids
    assert said.startswith("</s>a apple<break><code:")
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
    torch.testing.assert_close(logits[..., :60], expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(CheckpointError, match="tokenizer"):
        extended(open_generator(tmp_path), text=65, vocabulary=200)
