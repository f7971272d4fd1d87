import numpy as np
import pytest
import torch

from racm3.errors import CheckpointError, ConfigError
from racm3.model.attention import Block, causal_bias, flash, softmax
from racm3.model.config import SIZES, GeneratorConfig, size
from racm3.model.export import open_generator, save_generator
from tests.conftest import tiny_generator

IDS = torch.tensor(np.random.default_rng(0).integers(0, 50, (2, 12)))


def test_the_future_cannot_be_seen():
    model, changed = tiny_generator(50), IDS.clone()
    changed[:, 8:] = (changed[:, 8:] + 1) % 50
    torch.testing.assert_close(model(IDS)[:, :8], model(changed)[:, :8])
    assert not torch.allclose(model(IDS)[:, 8:], model(changed)[:, 8:])


def test_packed_samples_do_not_see_each_other():
    model = tiny_generator(50)
    sample = torch.tensor([[0] * 5 + [1] * 4 + [-1] * 3], dtype=torch.int32)
    positions = torch.tensor([[*range(5), *range(4), 0, 0, 0]])
    packed = model(IDS[:1], positions, sample)
    torch.testing.assert_close(packed[:, :5], model(IDS[:1, :5]))
    torch.testing.assert_close(packed[:, 5:9], model(IDS[:1, 5:9]))
    assert packed.isfinite().all()


@pytest.mark.parametrize("split", [1, 5, 11])
def test_attention_over_blocks_is_attention_over_the_whole(split):
    model = tiny_generator(50)
    attention, x = model.layers[0].self_attn, torch.randn(2, 12, 32)
    positions = torch.arange(12).expand(2, -1)
    by = model.rotation(positions)
    whole = attention(x, by, None)
    query, key, value = attention.project(x, by)
    first = Block(key[:, :, :split], value[:, :, :split])
    last = Block(key[:, :, split:], value[:, :, split:])
    bias = causal_bias(12 - split, attention.groups, x)
    rest = attention.over_blocks(query[:, :, split:], [first, last], bias)
    torch.testing.assert_close(rest, whole[:, split:])


def test_a_shared_block_is_the_same_as_one_copied_for_everybody():
    attention = tiny_generator(50).layers[0].self_attn
    query, shared = torch.randn(3, 4, 2, 8), torch.randn(1, 2, 5, 8)
    own = torch.randn(3, 2, 2, 8)
    copied = shared.expand(3, -1, -1, -1).contiguous()
    one = attention.over_blocks(query, [Block(shared, shared), Block(own, own)])
    other = attention.over_blocks(query, [Block(copied, copied), Block(own, own)])
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_blocks_one_by_one_are_one_softmax_over_all(count):
    """The kernel of a CPU and the plain arithmetic of every other device."""
    query, blocks = torch.randn(3, 2, 4, 8), []
    for number in range(count):
        shape = (1 if number == 0 else 3, 2, 5 + number, 8)
        blocks.append(Block(torch.randn(shape), torch.randn(shape)))
    shapes = [(4, 4 + count)] + [(3, 1, 4, 4 + count)] * (count > 1)
    biases = [torch.zeros(s).masked_fill(torch.rand(s) < 0.3, float("-inf")) for s in shapes]
    for last in (None, *biases):
        one, other = flash(query, blocks, last), softmax(query, blocks, last)
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_fusing_changes_no_logit_and_copies_no_weight(kv_heads):
    model = tiny_generator(50, kv_heads=kv_heads)
    for norm in (model.layers[0].self_attn.q_norm, model.layers[0].self_attn.k_norm):
        torch.nn.init.uniform_(norm.weight, 0.5, 2.0)
    before, names = model(IDS), model.state_dict().keys()
    torch.testing.assert_close(model.fuse()(IDS), before)
    assert model.state_dict().keys() == names
    attention = model.layers[0].self_attn
    assert attention.k_proj.weight.untyped_storage().data_ptr() == (
        attention.fused.untyped_storage().data_ptr()
    )


def test_rotary_positions_are_relative():
    model = tiny_generator(50)
    positions = torch.arange(12).expand(2, -1)
    torch.testing.assert_close(model(IDS, positions), model(IDS, positions + 7), atol=1e-4, rtol=0)


def test_learnt_positions_repeat_with_their_period():
    model = tiny_generator(50, period=8)
    positions = torch.arange(12).expand(2, -1)
    here = model(IDS, positions)
    torch.testing.assert_close(model(IDS, positions + 8), here, atol=1e-4, rtol=0)
    assert not torch.allclose(model(IDS, positions + 7), here, atol=1e-3)


@pytest.mark.parametrize("period", [0, 8])
@pytest.mark.parametrize("tied", [False, True])
def test_saving_and_opening_changes_nothing(tmp_path, tied, period):
    model = tiny_generator(50, tied=tied, period=period)
    save_generator(model, tmp_path)
    torch.testing.assert_close(open_generator(tmp_path)(IDS), model(IDS), rtol=0, atol=0)


def test_weights_of_another_size_are_named(tmp_path):
    save_generator(tiny_generator(50), tmp_path / "a")
    save_generator(tiny_generator(60), tmp_path / "b")
    (tmp_path / "a" / "model.safetensors").write_bytes(
        (tmp_path / "b" / "model.safetensors").read_bytes()
    )
    with pytest.raises(CheckpointError, match=r"does not fit .*embed_tokens"):
        open_generator(tmp_path / "a")


def test_the_sizes_are_the_papers():
    """Parameters within a fifth of each name (RA-CM3 Fig. 9, CM3Leon Table 2)."""
    claimed = {"125m": 125, "350m": 350, "760m": 760, "1b3": 1300, "2b7": 2700, "7b": 7000}
    for name in SIZES:
        config = size(name, vocabulary=64_512)
        layer = 4 * config.width**2 + 3 * config.width * config.hidden
        millions = (config.depth * layer + config.vocabulary * config.width) / 1e6
        assert millions == pytest.approx(claimed[name], rel=0.2), name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 30}, "does not divide into 4 equal heads"),
        ({"kv_heads": 3}, "cannot share 3 key heads"),
        ({"head_width": 7}, "is odd"),
    ],
)
def test_impossible_sizes_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        GeneratorConfig(**{"width": 32, "depth": 1, "heads": 4, "vocabulary": 9, **changes})


def test_too_long_a_sequence_is_refused():
    with pytest.raises(ConfigError, match=r"a generator with a context of 8"):
        tiny_generator(50, context=8)(IDS)
