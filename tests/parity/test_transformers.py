"""The reference library on tiny random weights: the same folders, the same numbers."""

import numpy as np
import pytest
import torch

from racm3.model.export import open_generator, save_generator
from racm3.retrieval.encoder import ClipEncoder
from tests.conftest import picture, tiny_generator

transformers = pytest.importorskip("transformers", reason="needs racm3[dev]")
IDS = torch.tensor(np.random.default_rng(0).integers(0, 50, (2, 12)))


@pytest.mark.parametrize("tied", [False, True])
def test_an_exported_generator_is_a_qwen3(tmp_path, tied):
    model = tiny_generator(50, tied=tied, head_width=16)
    save_generator(model, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert type(theirs).__name__ == "Qwen3ForCausalLM"
    with torch.inference_mode():
        torch.testing.assert_close(theirs(IDS).logits, model(IDS), atol=1e-4, rtol=1e-4)


def test_a_qwen3_folder_opens_as_a_generator(tmp_path):
    config = transformers.Qwen3Config(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=64,
    )  # fmt: skip
    theirs = transformers.Qwen3ForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path)
    with torch.inference_mode():
        torch.testing.assert_close(
            open_generator(tmp_path)(IDS), theirs(IDS).logits, atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("act", ["gelu", "quick_gelu"])
def test_our_clip_towers_are_clip_models(tmp_path, encoder: ClipEncoder, act):
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "vocab_size": 300, "hidden_act": act,
            "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}  # fmt: skip
    vision = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2,
              "num_attention_heads": 4, "image_size": 16, "patch_size": 8,
              "hidden_act": act}  # fmt: skip
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    theirs = transformers.CLIPModel(config).eval()
    encoder.save(tmp_path)  # tokenizer and preprocessing; then their weights over ours
    theirs.save_pretrained(tmp_path)
    ours = ClipEncoder.open(tmp_path)
    words = ["a guitar on a red background", "apple"]
    for text_ in words:
        ids = torch.tensor(ours.windows(text_))
        with torch.inference_mode():
            expected = theirs.get_text_features(input_ids=ids)
        _same_direction(ours.texts([text_]), expected)
    processor = transformers.CLIPImageProcessorPil.from_pretrained(tmp_path)
    image = picture(0, 40, 27)
    pixels = processor(images=image.pil(), return_tensors="pt")["pixel_values"]
    np.testing.assert_allclose(ours.preprocess([image]).numpy(), pixels.numpy(), atol=1e-6)
    with torch.inference_mode():
        expected = theirs.get_image_features(pixel_values=pixels)
    _same_direction(ours.images([image]), expected)


def _same_direction(ours: np.ndarray, theirs: object) -> None:
    vector = getattr(theirs, "pooler_output", theirs)
    expected = torch.nn.functional.normalize(vector, dim=-1).numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_our_saved_clip_opens_as_a_clip_model(tmp_path, encoder: ClipEncoder):
    encoder.save(tmp_path)
    theirs = transformers.CLIPModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = torch.tensor(encoder.windows("a guitar"))
    with torch.inference_mode():
        _same_direction(encoder.texts(["a guitar"]), theirs.get_text_features(input_ids=ids))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    inner = encoder.windows("a guitar")[0][1:-1]
    assert tokenizer("a guitar", add_special_tokens=False)["input_ids"] == inner
