"""Distances between sets of pictures, against scipy and algebra."""

import numpy as np
import pytest
import scipy.linalg
import torch

from racm3.errors import CheckpointError, ConfigError
from racm3.evaluation.features import (
    clip_features,
    inception,
    pixel_features,
    tokenizer_features,
)
from racm3.evaluation.frechet import (
    extrapolated_frechet,
    frechet,
    frechet_estimate,
    kernel_distance,
)
from tests.conftest import picture


def some(count: int, seed: int, *, dim: int = 6, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dim, dim))
    return (rng.normal(size=(count, dim)) @ mixing + shift).astype(np.float32)


@pytest.mark.parametrize("count", [4, 50])
def test_the_frechet_distance_is_scipys(count):
    a, b = some(count, 0), some(60, 1, shift=0.7)
    wide = [x.astype(np.float64) for x in (a, b)]
    covariances = [np.cov(x, rowvar=False) for x in wide]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.square(wide[0].mean(0) - wide[1].mean(0)).sum() + np.trace(
        covariances[0] + covariances[1] - 2 * np.real(root)
    )
    # With fewer pictures than numbers sqrtm of a singular matrix is itself only roughly right.
    assert frechet(a, b) == pytest.approx(expected, rel=1e-6 if count == 50 else 1e-2)


def test_the_frechet_distance_is_symmetric_zero_to_itself_and_sees_a_shift_exactly():
    a, b = some(40, 0), some(50, 1)
    assert frechet(a, b) == pytest.approx(frechet(b, a), rel=1e-9)
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet(a, a + 2) == pytest.approx(4 * a.shape[1], rel=1e-4)
    with pytest.raises(ConfigError, match="at least two pictures"):
        frechet(a[:1], b)


def test_extrapolation_takes_the_small_sample_excess_away():
    """Two samples of one law: the plain distance is clearly positive, the extrapolated one less."""
    real = some(4000, 5)
    plain = [frechet(some(60, seed), real) for seed in range(12)]
    extrapolated = [extrapolated_frechet(some(60, seed), real) for seed in range(12)]
    assert abs(np.mean(extrapolated)) < 0.35 * np.mean(plain)


def test_the_kernel_distance_is_unbiased_and_matches_the_double_sum():
    a, b = some(7, 0), some(9, 1, shift=0.5)
    dim = a.shape[1]

    def kernel(x, y):
        return (float(np.dot(x.astype(float), y.astype(float))) / dim + 1) ** 3

    expected = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    expected += np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    expected -= 2 * np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-6)
    alike = [kernel_distance(some(30, 2 * s), some(30, 2 * s + 1)) for s in range(30)]
    apart = kernel_distance(a, b)
    assert abs(np.mean(alike)) < 2 * np.std(alike) / np.sqrt(len(alike)) + abs(apart)


def test_an_interval_holds_its_value_and_is_the_same_twice():
    a, b = some(40, 0), some(60, 1, shift=0.3)
    one, two = frechet_estimate(a, b), frechet_estimate(a, b)
    assert one == two
    assert one.low < one.value < one.high
    assert one.value == pytest.approx(frechet(a, b))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_extractors_are_named_and_give_one_row_a_picture(encoder, codec, tmp_path):
    pictures = [picture(i, 20, 30 + i % 2) for i in range(70)]
    module = torch.jit.script(Pooled())
    module.save(str(tmp_path / "pooled.pt"))
    for extractor, name in (
        (clip_features(encoder), "clip:"),
        (tokenizer_features(codec.image), "image-tokenizer"),
        (pixel_features(4), "pixels-4x4"),
        (inception(tmp_path / "pooled.pt"), "pooled"),
    ):
        found = extractor(one for one in pictures)
        assert extractor.name.startswith(name)
        assert found.shape[0] == len(pictures)
        np.testing.assert_allclose(found[-2:], extractor(pictures[-2:]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        inception(tmp_path / "pooled.pt")([picture(0)]),
        picture(0).pixels.mean(axis=(0, 1))[None],
        rtol=1e-5,
    )


class Pooled(torch.nn.Module):
    """The signature of the Inception TorchScript: uint8 in, features out."""

    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return x.float().mean(dim=(2, 3))


def test_what_is_no_torchscript_is_refused(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"not a module")
    with pytest.raises(CheckpointError, match="no TorchScript module"):
        inception(tmp_path / "x.pt")
