"""Decoding against `transformers` on the same exported weights, same prompt, same ids.

python benchmarks/decoding.py
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from common import arguments, seconds, show
from transformers import AutoModelForCausalLM

from racm3 import RACM3
from racm3.document import Document
from racm3.generation.engine import Engine
from racm3.generation.sampling import Sampling
from racm3.generation.tasks import draw_task
from racm3.model.export import save_generator
from racm3.model.transformer import Transformer
from racm3.system import Settings

CAPTION = "the flag of Bhutan on a blue background"


def main() -> None:
    chosen = arguments("tokens per second: ours against transformers", repeats=5, most=10)
    system = RACM3.open("sample", device="cpu")
    consulted = system.consult(Document.of(CAPTION), Settings())
    cells = len(system.codec.image.grid)
    task = draw_task(system.voice.text(CAPTION), cells, system.codec.vocabulary)
    with tempfile.TemporaryDirectory() as folder:
        save_generator(without_places(system.engine.model), Path(folder))
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    rows = [
        measure(system, theirs, task, consulted, samples, sampling, chosen)
        for sampling in (Sampling(top_p=1.0), system.parts.settings.sampling)
        for samples in (1, 4, 10)
        if samples <= chosen.most
    ]
    rows.append(bandwidth(system, float(str(rows[0]["ours, tokens/s"])), chosen))
    show(rows, chosen)


def without_places(model: Transformer) -> Transformer:
    """The same weights but the learnt positions, which Qwen3 does not have. Only ours adds them:
    what it guesses right depends on what it says."""
    plain = Transformer(replace(model.config, period=0))
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("embed_places")}
    plain.load_state_dict(state)
    return plain


def measure(system, theirs, task, consulted, samples, sampling, chosen) -> dict[str, object]:
    settings = Settings(candidates=samples, sampling=sampling)
    request = system.voice.request(task, consulted, settings)
    prompt, cells = request.streams[0], request.longest
    ids = torch.tensor([prompt]).expand(samples, -1)

    def reference() -> object:
        with torch.inference_mode():
            return theirs.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=cells,
                min_new_tokens=cells, do_sample=True, pad_token_id=0,
                temperature=sampling.temperature, top_p=sampling.top_p,
            )  # fmt: skip

    plain = Engine(system.engine.model, system.engine.placing, guesses=0)
    runs = {
        "ours": lambda: system.engine.generate(request),
        "without guesses": lambda: plain.generate(request),
        "transformers": reference,
    }
    taken = seconds(runs, repeats=chosen.repeats)
    made = samples * cells
    return {
        "temperature": sampling.temperature,
        "samples": samples,
        "prompt ids": len(prompt),
        "ours, tokens/s": round(made / taken["ours"], 1),
        "without guesses": round(made / taken["without guesses"], 1),
        "transformers, tokens/s": round(made / taken["transformers"], 1),
        "ratio": round(taken["transformers"] / taken["ours"], 2),
    }


def bandwidth(system, rate: float, chosen) -> dict[str, object]:
    """The limit that reading every weight once an id sets, by measured matrix-vector speed."""
    matrix, vector = torch.randn(4096, 4096), torch.randn(4096)
    taken = seconds({"mv": lambda: [matrix @ vector for _ in range(10)]}, repeats=chosen.repeats)
    speed = 10 * matrix.numel() * 4 / taken["mv"]
    weights = sum(p.numel() * 4 for p in system.engine.model.parameters())
    limit = speed / weights
    return {
        "temperature": "",
        "samples": "bandwidth limit",
        "prompt ids": "",
        "ours, tokens/s": rate,
        "without guesses": "",
        "transformers, tokens/s": f"limit {limit:.0f}",
        "ratio": round(rate / limit, 2),
    }


if __name__ == "__main__":
    main()
