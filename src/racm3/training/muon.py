"""Muon: momentum whose directions all count alike (Jordan et al. 2024).

`torch.optim.Muon` orthogonalises in bfloat16 whatever the hardware; where bfloat16 is emulated that
costs a third of an update, and where it is not the weights' precision costs as much. This one
multiplies as autocast says where it steps, and does all matrices of one shape at once.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

QUINTIC = (3.4445, -4.775, 2.0315)
ITERATIONS = 5


def orthogonal(
    matrices: Float[Tensor, "count rows columns"],
) -> Float[Tensor, "count rows columns"]:
    """Each matrix with its singular values pushed towards 1, by Newton and Schulz's iteration."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = QUINTIC
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """For the matrices inside a network; embeddings and gains are Adam's.

    The step is scaled to what Adam's would be (Liu et al. 2025, arXiv 2502.16982, §2.2), so that
    one learning rate serves both.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[matrix.shape].append(matrix)
            for shape, some in alike.items():
                moves = orthogonal(torch.stack([self._momentum(one, group) for one in some]))
                rate = group["lr"] * 0.2 * max(shape) ** 0.5
                for matrix, move in zip(some, moves, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.sub_(move, alpha=rate)

    def _momentum(self, matrix: Tensor, group: dict[str, Any]) -> Tensor:
        """Nesterov's: where the average of gradients is about to be."""
        assert matrix.grad is not None
        state = self.state[matrix]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        average: Tensor = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
        return matrix.grad.lerp(average, group["momentum"])
