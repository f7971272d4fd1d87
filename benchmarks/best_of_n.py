"""Best of N: what documents cost when N samples and guidance streams share them.

python benchmarks/best_of_n.py
"""

from common import arguments, seconds, show

from racm3 import RACM3
from racm3.document import Document
from racm3.generation.tasks import draw_task, passes, streams
from racm3.system import Settings

CAPTION = "the flag of Bhutan on a blue background"


def main() -> None:
    chosen = arguments("prefill cost by number of samples and streams", repeats=7)
    system = RACM3.open("sample", device="cpu")
    vocabulary = system.codec.vocabulary
    consulted = system.consult(Document.of(CAPTION), Settings())
    task = draw_task(system._text(CAPTION), len(system.codec.image.grid), vocabulary)
    read = passes(system._read(consulted))
    prompts = {
        count: streams(task, read, vocabulary, count=count, keep_documents=True) for count in (1, 2)
    }
    cases = [(samples, count) for samples in (1, 4, 10, 32) for count in (1, 2)]
    runs = {
        f"{samples} samples, {count} stream(s)": (
            lambda s=samples, c=count: system.engine._read(prompts[c], s)
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
