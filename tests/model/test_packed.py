"""What a CPU computes sample by sample is what one mask over the whole row gives."""

import numpy as np
import pytest
import torch

from racm3.model.packed import Packing, attend, packed_mask

# Two rows: samples of one id and of many, padding at the end, a row without any.
SAMPLE = torch.tensor([[0] * 5 + [1] + [2] * 4 + [-1] * 2, [0] * 12], dtype=torch.int32)


def parts(kv_heads: int) -> list[torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    shapes = [(2, heads, 12, 8) for heads in (4, kv_heads, kv_heads)]
    return [torch.randn(s, generator=made, dtype=torch.float64, requires_grad=True) for s in shapes]


@pytest.mark.parametrize("kv_heads", [1, 4])
def test_samples_one_by_one_are_the_masked_row(kv_heads):
    """Outputs and gradients; nothing is asked of padding."""
    found = []
    for packing in (Packing(SAMPLE, None), Packing(SAMPLE, packed_mask(SAMPLE))):
        given = parts(kv_heads)
        mixed = attend(*given, packing) * (SAMPLE >= 0)[:, None, :, None]
        (mixed * torch.arange(8)).sum().backward()
        found.append([mixed, *(one.grad for one in given)])
    for one, other in zip(*found, strict=True):
        assert other.abs().sum() > 0
        torch.testing.assert_close(one, other)


def test_gradients_in_bf16_are_as_near_as_bf16_allows():
    """The witness is the same in 64 bits; what is given and wanted is rounded, nothing between."""
    given = [one.detach().bfloat16().requires_grad_() for one in parts(4)]
    exact = [one.detach().double().requires_grad_() for one in given]
    for some in (given, exact):
        attend(*some, Packing(SAMPLE, None)).mul(torch.arange(8)).sum().backward()
    for one, other in zip(given, exact, strict=True):
        assert one.grad.dtype == torch.bfloat16
        apart = (one.grad.double() - other.grad).norm() / other.grad.norm()
        assert apart < 2.0**-8


def test_a_row_of_padding_learns_nothing_and_stays_finite():
    given = parts(4)
    mixed = attend(*given, Packing(torch.full((2, 12), -1), None))
    mixed.sum().backward()
    assert mixed.abs().sum() == 0
    assert all(one.grad.abs().sum() == 0 for one in given)


def test_the_operation_says_the_truth_about_itself():
    """Shapes, strides and gradients as `torch.compile` believes them."""
    given = [one.float().detach().requires_grad_() for one in parts(4)]
    torch.library.opcheck(torch.ops.racm3.attend_one_by_one, (*given, SAMPLE))


def test_one_compiled_graph_serves_every_packing():
    """How many samples there are is no shape."""

    def loss(query, key, value, sample):
        return torch.ops.racm3.attend_one_by_one(query, key, value, sample)[0].cos().sum()

    run = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for number, cuts in enumerate(([3, 7], [1], [2, 4, 6, 8])):
        row = np.searchsorted(cuts, np.arange(12), side="right")
        sample = torch.tensor(np.stack([row, row]))
        grads = []
        for one in (loss, run):
            given = parts(4)
            with torch.compiler.set_stance("fail_on_recompile" if number else "default"):
                one(*given, sample).backward()
            grads.append([part.grad for part in given])
        for mine, theirs in zip(*grads, strict=True):
            torch.testing.assert_close(mine, theirs)
