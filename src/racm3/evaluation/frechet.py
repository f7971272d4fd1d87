"""How far two sets of pictures are apart: Frechet and kernel distances over any features."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from racm3.errors import ConfigError
from racm3.evaluation.report import Estimate, interval
from racm3.runtime import dice

One = Float32[np.ndarray, "pictures dim"]
Other = Float32[np.ndarray, "others dim"]


class Gaussian(NamedTuple):
    mean: Float64[np.ndarray, " dim"]
    covariance: Float64[np.ndarray, "dim dim"]


def gaussian(features: One) -> Gaussian:
    if len(features) < 2:
        raise ConfigError("a Frechet distance needs at least two pictures on each side")
    wide = features.astype(np.float64)
    return Gaussian(wide.mean(axis=0), np.atleast_2d(np.cov(wide, rowvar=False)))


def between(one: Gaussian, other: Gaussian) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Heusel et al. 2017, eq. 6).

    The root's trace is that of the symmetric (C1^(1/2) C2 C1^(1/2))^(1/2), so no complex numbers
    appear, however few pictures there are.
    """
    values, vectors = np.linalg.eigh(one.covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ other.covariance @ root)
    traces = np.trace(one.covariance) + np.trace(other.covariance)
    distance = np.square(one.mean - other.mean).sum() + traces - 2 * np.sqrt(shared.clip(0)).sum()
    return float(distance)


def frechet(one: One, other: Other) -> float:
    return between(gaussian(one), gaussian(other))


def extrapolated_frechet(made: One, real: Other, *, seed: int = 0) -> float:
    """The distance that infinitely many pictures would have (Chong & Forsyth 2020, FID-infinity).

    A Frechet distance of n pictures is too large by about 1/n; a line through the distances of
    growing random subsets, at 1/n, is read off at 0.
    """
    rng, right = dice(seed, 41), gaussian(real)
    sizes = np.linspace(len(made) / 4, len(made), 8).astype(int)
    if sizes[0] < 2:
        raise ConfigError("extrapolating a Frechet distance needs at least eight pictures")
    found = [
        between(gaussian(made[rng.choice(len(made), size, replace=False)]), right) for size in sizes
    ]
    return float(np.polyfit(1 / sizes, found, 1)[1])


def kernel_distance(one: One, other: Other) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / dim + 1)^3 (Binkowski et
    al. 2018, KID); may be slightly negative where the sets are alike."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    dim = a.shape[1]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / dim + 1) ** 3

    def within(x: np.ndarray) -> float:
        every = kernel(x, x)
        return float((every.sum() - np.trace(every)) / (len(x) * (len(x) - 1)))

    return within(a) + within(b) - 2 * float(kernel(a, b).mean())


def frechet_estimate(made: One, real: Other, *, seed: int = 0, draws: int = 100) -> Estimate:
    """The distance with a bootstrap interval over the made pictures.

    Resampling repeats pictures, which makes a distance larger; the interval is moved so that it
    is centred as the distance itself is.
    """
    rng, right = dice(seed, 42), gaussian(real)
    value = between(gaussian(made), right)
    drawn = [
        between(gaussian(made[rng.integers(len(made), size=len(made))]), right)
        for _ in range(draws)
    ]
    moved = np.array(drawn) - np.mean(drawn) + value
    return interval(value, moved, len(made))
