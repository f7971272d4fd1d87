"""How much a study may cost: the same tables at every scale."""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one training run and one measurement may cost.

    Args:
        steps: Updates of every generator; 0 trains none and asks a finished system's.
        pretrain: Where every run starts from one CM3 (RA-CM3 §D.2), so that what costs most is
            learnt once: the system's own, or one that is trained for so many updates. 0 where
            every run starts from nothing.
        finetune: Further updates where a run starts from another (RA-CM3 §D.2).
        warmup: Updates of linear warm-up.
        lr: Peak learning rate.
        rows: Packed rows of a batch.
        length: Ids in a row.
        optimizer: adam or muon.
        compile: Use torch.compile.
        documents: Training documents, at most.
        fiction: Further training documents, of fictional things (the sample world alone).
        fictional_things: How many of these things there are.
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
    pretrain: int = 0
    optimizer: Literal["adam", "muon"] = "muon"
    compile: bool = False
    fiction: int = 0
    fictional_things: int = 0

    @property
    def trained(self) -> bool:
        """Whether nothing is trained, since a finished system lends its generators."""
        return self.steps == 0


TWENTY = Budget(
    steps=500, finetune=150, warmup=40, lr=3e-3, rows=8, length=384, documents=6_000,
    fiction=10_000, fictional_things=3_000, unseen=200, drawings=24, candidates=1, episodes=40,
    seeds=(0,), width=128, depth=4, scales=((64, 3), (96, 3), (128, 4), (176, 5)), side=64,
    tokenizer_steps=1_000, compile=True,
)  # fmt: skip

TWO_HOURS = Budget(
    steps=400, finetune=0, pretrain=1_200, warmup=40, lr=2.5e-3, rows=8, length=384,
    documents=8_000, fiction=12_000, fictional_things=4_000, unseen=500, drawings=64,
    candidates=4, episodes=100, seeds=(0,), width=192, depth=6,
    scales=((96, 4), (128, 5), (192, 6), (256, 7)), side=64, tokenizer_steps=1_500,
    compile=True,
)  # fmt: skip

TRAINED = Budget(
    steps=0, finetune=0, warmup=0, lr=0, rows=1, length=384, documents=0, unseen=300,
    drawings=256, candidates=4, episodes=100, seeds=(0,), width=0, depth=0, scales=(), side=64,
    tokenizer_steps=0,
)  # fmt: skip

BUDGETS = {
    # Seconds: for tests, never for conclusions.
    "toy": Budget(
        steps=2, finetune=1, warmup=1, lr=1e-3, rows=2, length=320, documents=16, fiction=8,
        fictional_things=4, unseen=6, drawings=3, candidates=1, episodes=2, seeds=(0,), width=32,
        depth=1, scales=((16, 1), (16, 2), (32, 1), (32, 2)), side=32, tokenizer_steps=2,
        precision="fp32",
    ),
    # What two cores do in twenty minutes for one table of three runs.
    "20m": TWENTY,
    # The same from nothing for longer, since copying sets in late: an hour for three runs.
    "1h": replace(
        TWENTY, steps=1_200, documents=8_000, fiction=16_000, fictional_things=6_000, drawings=200
    ),
    # What two cores do in two hours for the tables of one world: every run starts from a CM3.
    "2h": TWO_HOURS,
    # The same after a CM3 that has met every caption of the photographs more than twice, and with
    # more drawings, since 64 did not tell two distances apart.
    "3h": replace(TWO_HOURS, steps=600, pretrain=2_500, drawings=256),
    # The sizes of 1h, nine times as many ids: fifteen runs side by side took one H200 six and a
    # half minutes, with three larger ones beside them.
    "gpu-small": replace(
        TWENTY, steps=2_000, warmup=100, rows=32, length=512, documents=10_000, fiction=40_000,
        fictional_things=20_000, drawings=200, compile=False,
    ),
    # The sizes of 2h and 3h, from nothing, three times the ids of 3h: seven runs took it four
    # minutes, with two more beside them.
    "gpu": replace(
        TWO_HOURS, steps=1_850, pretrain=0, warmup=100, rows=32, length=512, drawings=256,
        compile=False,
    ),
    # Minutes: the generators of a finished system are asked as they are.
    "trained": TRAINED,
    # Sixteen times as many drawings, each the only one, for distances that 256 do not tell apart.
    "trained-long": replace(TRAINED, unseen=4_096, drawings=4_096, candidates=1),
}  # fmt: skip
