"""How much a study may cost: the same tables at every scale."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one training run and one measurement may cost.

    Args:
        steps: Updates of every generator.
        finetune: Further updates where a run starts from another (RA-CM3 §D.2).
        warmup: Updates of linear warm-up.
        lr: Peak learning rate.
        rows: Packed rows of a batch.
        length: Ids in a row.
        documents: Training documents, at most.
        unseen: Evaluation documents for perplexity, at most.
        drawings: Evaluation documents that are drawn, and described.
        candidates: N of best-of-N for drawings.
        episodes: Few-shot episodes for every k.
        seeds: Training runs of every generator.
        width: Width of the generator.
        depth: Layers of the generator.
        scales: Widths and depths of Fig. 9, smallest first.
        side: Picture side of the photographs.
        tokenizer_steps: Updates of the photographs' image tokenizer.
        precision: fp32, bf16 or auto.
    """

    steps: int
    finetune: int
    warmup: int
    lr: float
    rows: int
    length: int
    documents: int
    unseen: int
    drawings: int
    candidates: int
    episodes: int
    seeds: tuple[int, ...]
    width: int
    depth: int
    scales: tuple[tuple[int, int], ...]
    side: int
    tokenizer_steps: int
    precision: str = "auto"


BUDGETS = {
    # Seconds: for tests, never for conclusions.
    "toy": Budget(
        steps=2, finetune=1, warmup=1, lr=1e-3, rows=2, length=320, documents=24, unseen=6,
        drawings=3, candidates=1, episodes=2, seeds=(0,), width=32, depth=1,
        scales=((16, 1), (16, 2), (32, 1), (32, 2)), side=32, tokenizer_steps=2, precision="fp32",
    ),
    # What two cores do in twenty minutes for one table of three runs.
    "20m": Budget(
        steps=400, finetune=100, warmup=40, lr=3e-3, rows=8, length=384, documents=6_000,
        unseen=200, drawings=24, candidates=1, episodes=40, seeds=(0,), width=128, depth=4,
        scales=((64, 3), (96, 3), (128, 4), (176, 5)), side=64, tokenizer_steps=1_000,
    ),
    "2h": Budget(
        steps=1_500, finetune=300, warmup=60, lr=2.5e-3, rows=10, length=384, documents=24_000,
        unseen=500, drawings=64, candidates=4, episodes=100, seeds=(0, 1), width=192, depth=6,
        scales=((96, 4), (128, 5), (192, 6), (256, 7)), side=64, tokenizer_steps=4_000,
    ),
    # One H200-class card.
    "gpu": Budget(
        steps=10_000, finetune=2_000, warmup=500, lr=8e-4, rows=64, length=1_024,
        documents=200_000, unseen=1_000, drawings=500, candidates=10, episodes=400,
        seeds=(0, 1, 2), width=512, depth=12,
        scales=((192, 6), (256, 9), (384, 12), (512, 16)), side=128, tokenizer_steps=20_000,
    ),
}  # fmt: skip
