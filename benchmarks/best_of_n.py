"""Best of N: what documents cost when N samples and guidance streams share them.

python benchmarks/best_of_n.py
"""

from common import arguments, seconds, show

from racm3 import RACM3
from racm3.document import Document
from racm3.generation.guidance import Guidance
from racm3.generation.tasks import draw_task
from racm3.system import Settings

CAPTION = "the flag of Bhutan on a blue background"


def main() -> None:
    chosen = arguments("prefill cost by number of samples and streams", repeats=7)
    system = RACM3.open("sample", device="cpu")
    consulted = system.consult(Document.of(CAPTION), Settings())
    cells = len(system.codec.image.grid)
    task = draw_task(system.voice.text(CAPTION), cells, system.codec.vocabulary)
    settings = {count: Settings(guidance=Guidance(weight=float(count))) for count in (1, 2)}
    prompts = {
        count: system.voice.request(task, consulted, one).streams for count, one in settings.items()
    }
    cases = [(samples, count) for samples in (1, 4, 10, 32) for count in (1, 2)]
    runs = {
        f"{samples} samples, {count} stream(s)": (
            lambda s=samples, c=count: system.engine.read(prompts[c], s)
        )
        for samples, count in cases
    }
    taken = seconds(runs, repeats=chosen.repeats)
    base = next(iter(taken.values()))
    rows = [
        {"prefill of": name, "ms": round(1000 * value, 2), "ratio to one": round(value / base, 2)}
        for name, value in taken.items()
    ]
    show(rows, chosen)


if __name__ == "__main__":
    main()
