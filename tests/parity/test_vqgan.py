"""Public VQGAN layouts on tiny random weights: Janus in `transformers` is the witness, and the
others are the same weights under the names that their families give them."""

import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from racm3.errors import CheckpointError, ConfigError
from racm3.interfaces.cli import main
from racm3.tokens.image import ImageTokenizer
from racm3.tokens.vqgan.diffusers import export_vqmodel
from racm3.tokens.vqgan.imports import import_vqgan
from tests.conftest import picture

transformers = pytest.importorskip("transformers", reason="needs racm3[dev]")
PIXELS = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
LEVELS = 3


@pytest.fixture(scope="module")
def janus():
    torch.manual_seed(0)
    from transformers.models.janus.modeling_janus import JanusVQVAE, JanusVQVAEConfig

    config = JanusVQVAEConfig(
        embed_dim=8, num_embeddings=24, latent_channels=16, base_channels=8,
        channel_multiplier=[1, 2, 4], num_res_blocks=2, num_patches=4,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        # Tiny widths have fewer channels than the 32 groups of real ones.
        whole = torch.nn.GroupNorm.__init__
        patch.setattr(
            torch.nn.GroupNorm, "__init__",
            lambda self, num_groups, num_channels, **more: whole(self, 8, num_channels, **more),
        )  # fmt: skip
        model = JanusVQVAE(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def llamagen(name: str) -> str:
    middle = {"block_1": "0", "attn_1": "1", "block_2": "2"}
    name = re.sub(r"\.mid\.(\w+?)\.(?=\w)", lambda m: f".mid.{middle[m[1]]}.", name)
    name = name.replace("encoder.down", "encoder.conv_blocks")
    return name.replace("decoder.up", "decoder.conv_blocks").replace(".block.", ".res.")


def taming(name: str) -> str:
    return re.sub(
        r"^decoder\.up\.(\d+)", lambda m: f"decoder.up.{LEVELS - 1 - int(m[1])}", name
    )  # fmt: skip


LAYOUTS = {"janus": str, "llamagen": llamagen, "taming": taming}


@pytest.mark.parametrize("family", LAYOUTS)
def test_every_layout_is_the_same_tokenizer(janus, tmp_path, family):
    state = {LAYOUTS[family](name): value for name, value in janus.state_dict().items()}
    path = tmp_path / "weights.ckpt"
    torch.save({"state_dict": {**state, "loss.discriminator.weight": torch.ones(2)}}, path)
    ours = import_vqgan(path, side=16)
    assert ours.config.family == family
    assert ours.config.unit == (family != "taming")
    with torch.inference_mode():
        hidden = janus.quant_conv(janus.encoder(PIXELS))
        torch.testing.assert_close(
            ours.quant_conv(ours.encoder(PIXELS)), hidden, atol=1e-4, rtol=1e-4
        )
        codes = torch.arange(32).reshape(2, 4, 4) % 24
        if family == "taming":
            vectors = janus.quantize.embedding.weight[codes].permute(0, 3, 1, 2)
            decoded = janus.decoder(janus.post_quant_conv(vectors))
            found = janus.quantize(hidden)[2].view(2, 4, 4)
            assert (ours.encode(PIXELS) == found).all()
        else:
            decoded = janus.decode(codes.flatten(1))
        torch.testing.assert_close(ours.decode(codes), decoded.clamp(-1, 1), atol=1e-4, rtol=1e-4)


def test_a_gumbel_model_chooses_by_its_projection(janus, tmp_path):
    state = {taming(name): value for name, value in janus.state_dict().items()}
    state["quantize.embed.weight"] = state.pop("quantize.embedding.weight")
    state["quantize.proj.weight"] = torch.randn(24, 16, 1, 1)
    state["quantize.proj.bias"] = torch.randn(24)
    state["quant_conv.weight"], state["quant_conv.bias"] = (
        torch.randn(16, 16, 1, 1),
        torch.randn(16),
    )
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "g.safetensors")
    ours = import_vqgan(tmp_path / "g.safetensors", side=16)
    with torch.inference_mode():
        latent = janus.encoder(PIXELS)
        latent = torch.nn.functional.conv2d(
            latent, state["quant_conv.weight"], state["quant_conv.bias"]
        )
        scores = torch.nn.functional.conv2d(
            latent, state["quantize.proj.weight"], state["quantize.proj.bias"]
        )
        assert (ours.encode(PIXELS) == scores.argmax(dim=1)).all()


def test_the_command_writes_a_tokenizer_that_opens(janus, tmp_path, capsys):
    save_file(
        {k: v.contiguous() for k, v in janus.state_dict().items()}, tmp_path / "j.safetensors"
    )
    main(
        [
            "import",
            "tokenizer",
            f"{tmp_path}/j.safetensors",
            "--out",
            f"{tmp_path}/t",
            "--side",
            "16",
        ]
    )
    assert "16 codes of 24" in capsys.readouterr().out
    tokenizer = ImageTokenizer.open(tmp_path / "t")
    codes = tokenizer.encode([picture(0), picture(1)])
    assert codes.shape == (2, 16)
    assert [p.width for p in tokenizer.decode(codes)] == [16, 16]
    expected = import_vqgan(tmp_path / "j.safetensors", side=16)
    np.testing.assert_array_equal(codes, ImageTokenizer(expected).encode([picture(0), picture(1)]))


class Poison:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def test_pickles_are_not_run_and_other_weights_are_named(janus, tmp_path):
    torch.save({"state_dict": {}, "callback": Poison()}, tmp_path / "bad.ckpt")
    with pytest.raises(CheckpointError, match="not run"):
        import_vqgan(tmp_path / "bad.ckpt", side=16)
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="no VQGAN"):
        import_vqgan(tmp_path / "a.safetensors", side=16)
    state = {k: v.contiguous() for k, v in janus.state_dict().items() if "mid" not in k}
    save_file(state, tmp_path / "part.safetensors")
    with pytest.raises(CheckpointError, match="lacks"):
        import_vqgan(tmp_path / "part.safetensors", side=16)


@pytest.mark.parametrize("family", ["taming", "janus"])
def test_diffusers_opens_it_as_a_vqmodel(janus, codec, tmp_path, family):
    diffusers = pytest.importorskip("diffusers", reason="needs racm3[dev]")
    state = {LAYOUTS[family](name): v.contiguous() for name, v in janus.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    ours = import_vqgan(tmp_path / "w.safetensors", side=16)
    export_vqmodel(ImageTokenizer(ours), tmp_path / "vq")
    theirs = diffusers.VQModel.from_pretrained(tmp_path / "vq").eval()
    codes = torch.arange(32).reshape(2, 4, 4) % 24
    with torch.inference_mode():
        latents = theirs.encode(PIXELS).latents
        torch.testing.assert_close(latents, ours.features(PIXELS), atol=1e-4, rtol=1e-4)
        found = theirs.quantize(latents)[2][2].view(2, 4, 4)
        assert (found == ours.encode(PIXELS)).all()
        made = theirs.decode(codes, force_not_quantize=True, shape=(2, 4, 4, 8)).sample
        torch.testing.assert_close(ours.decode(codes), made.clamp(-1, 1), atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="import tokenizer"):
        export_vqmodel(codec.image, tmp_path / "x")
