"""Write the measured tables into README.md, after `racm3 evaluate sample` and `racm3 study report`:
.venv/bin/python runs/readme.py."""

import json
import re
from pathlib import Path

from racm3.recipes.study.report import summary

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"
STUDIES = {
    "sample world, shipped": ("sample-trained", "sample-trained-long"),
    "from nothing, two cores": ("sample-1h",),
    "from nothing, a GPU": ("sample-gpu-small",),
    "photographs, two cores": ("photographs-3h",),
    "photographs, a GPU": ("photographs-gpu",),
}
HELD_OUT, OWN = "scenes of held-out things", "invented things, one picture each, among all"
CARELESS = "in people's words, in capitals or without articles"
THE_SAME = "the same thing in every place, in people's words"
# What a newcomer needs to believe; everything else stands in sample.md.
SHOWN = (
    ("fidelity[pixels-2x2]", "held-out scenes, tokenizer alone"),
    ("recall@1, text to document", "all things"),
    ("recall@1, picture to document", "all things"),
    ("recall@1, picture to document", OWN),
    ("recall@1, what an answer looks up", "keywords that no text says of the thing"),
    ("image perplexity, K = 2", HELD_OUT),
    ("text perplexity, K = 2", HELD_OUT),
    ("image perplexity, K = 2 random", HELD_OUT),
    ("fidelity[pixels-2x2]", "1 held-out thing(s)"),
    ("fidelity[pixels-2x2]", "2 held-out thing(s)"),
    ("fidelity[pixels-2x2]", "1 held-out thing(s), asked for in a sentence"),
    ("fidelity[pixels-2x2]", "2 held-out thing(s), in people's words"),
    ("fidelity[pixels-2x2]", f"2 held-out thing(s), {CARELESS}"),
    ("fidelity[pixels-2x2]", "2 held-out thing(s), the same thing twice, in people's words"),
    ("fidelity[pixels-2x2]", "2 held-out thing(s), joined by a verb"),
    ("fidelity[pixels-2x2]", "3 held-out thing(s), in people's words"),
    ("fidelity[pixels-2x2]", "4 held-out thing(s), in people's words"),
    ("fidelity[pixels-2x2]", f"4 held-out thing(s), {THE_SAME}"),
    ("right, and in the dye asked for", "1 held-out thing(s), dyed"),
    ("right, and in the dye asked for", "1 held-out thing(s), dyed, in people's words"),
    ("right, and in the dye asked for", "2 held-out thing(s), dyed"),
    ("right, and in the dye asked for", "2 held-out thing(s), dyed, in people's words"),
    ("infilled half is right", "held-out flags, large"),
    ("infilled half is right", "held-out flags, large, right half"),
    ("infilled half is right", "held-out flags, large, without words"),
    ("thing exchanged is right", "1 held-out thing, said in full"),
    ("thing exchanged is right", "1 held-out thing, its name alone"),
    ("thing exchanged is right", "one of 2 held-out things, its name alone"),
    ("thing is taken out", "1 held-out thing"),
    ("caption names the thing", "1 held-out thing"),
    ("caption names both things", "2 held-out things"),
    ("caption names all things", "3 held-out things"),
    ("caption names all things", "4 held-out things"),
    ("caption says how often it is there", "1 held-out thing"),
    ("caption names the thing", "1 held-out thing, drawn by RA-CM3"),
    ("caption names both things", "2 held-out things, drawn by RA-CM3"),
    ("gap in a caption is filled word by word", "1 held-out thing"),
    ("caption names the thing", OWN),
    ("right among 24 invented things, chance 0.042", "in the memory, one picture each"),
    ("right among 24 invented things, chance 0.042", "not in the memory"),
    ("1-shot accuracy, chance 0.5", "by how likely the picture is"),
    ("1-shot accuracy, chance 0.5", "by how likely the label is"),
)


def number(estimate: dict | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate['value']:.3g} [{estimate['low']:.3g}, {estimate['high']:.3g}]"


def sample() -> str:
    report = json.loads((ROOT / "docs/results/sample.json").read_text())
    lines = ["| measure | on | RA-CM3 | CM3 |", "| --- | --- | --- | --- |"]
    rows = {(row["measure"], row["on"]): row for row in report["rows"]}
    for key in SHOWN:
        values = (*key, number(rows[key]["racm3"]), number(rows[key]["cm3"]))
        lines.append("| " + " | ".join(values) + " |")
    count = report["rows"][0]["racm3"]["count"]
    lines.append("")
    lines.append(
        f"`{report['command']}`: seed {report['seed']}, {count} scenes a row unless the report "
        "says otherwise, 95% bootstrap intervals; all rows are in "
        "[docs/results/sample.md](docs/results/sample.md)."
    )
    return "\n".join(lines)


def main() -> None:
    reports = {
        name: [RESULTS / f"study-{file}.json" for file in files] for name, files in STUDIES.items()
    }
    blocks = {"results": sample(), "study": summary(reports)}
    readme = ROOT / "README.md"
    text = readme.read_text()
    for name, block in blocks.items():
        text = re.sub(
            rf"(<!-- {name}: written by runs/readme.py -->\n).*?(<!-- end of {name} -->)",
            lambda match, block=block: f"{match[1]}{block}\n{match[2]}",
            text,
            flags=re.DOTALL,
        )
    readme.write_text(text)


if __name__ == "__main__":
    main()
