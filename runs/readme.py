"""Write the measured tables into README.md and docs/comparisons.md, after `racm3 evaluate sample`
and `racm3 study report`: .venv/bin/python runs/readme.py."""

import json
import re
from collections import ChainMap, Counter
from collections.abc import Iterable
from pathlib import Path

from racm3.evaluation.report import table
from racm3.recipes.study.report import summary
from racm3.recipes.study.tables import TABLES

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"
STUDIES = {
    "sample world, shipped": ("sample-trained", "sample-trained-long"),
    "from nothing, two cores": ("sample-1h",),
    "from nothing, a GPU": ("sample-gpu-small",),
    "photographs, two cores": ("photographs-3h",),
    "photographs, a GPU": ("photographs-gpu",),
}
OWN = "invented things, one picture each, among all"
FIDELITY, DYED = "fidelity[pixels-2x2]", "right, and in the dye asked for"
NAMED, SHOT = "caption names the thing", "1-shot accuracy, chance 0.5"
ONE, TWO, FOUR = "1 held-out thing(s)", "2 held-out thing(s)", "4 held-out thing(s)"
# What a newcomer needs to believe, in a newcomer's words; all rows stand in sample.md.
SHOWN = {
    "drawn right: a thing": (FIDELITY, ONE),
    "drawn right: two things, in people's words": (FIDELITY, f"{TWO}, in people's words"),
    "drawn right: four things, in people's words": (FIDELITY, f"{FOUR}, in people's words"),
    "drawn right: a thing in the colour asked for": (DYED, f"{ONE}, dyed, in people's words"),
    "drawn right: two things, each in its colour": (DYED, f"{TWO}, dyed, in people's words"),
    "infilled right: half a flag": ("infilled half is right", "held-out flags, large"),
    "infilled right: half a flag, without words": (
        "infilled half is right", "held-out flags, large, without words",
    ),
    "edited right: a thing exchanged, by its name alone": (
        "thing exchanged is right", "1 held-out thing, its name alone",
    ),
    "edited right: a thing taken out": ("thing is taken out", "1 held-out thing"),
    "named in the caption: a thing": (NAMED, "1 held-out thing"),
    "named in the caption: all of four things": ("caption names all things", "4 held-out things"),
    "named in the caption: a thing that RA-CM3 has drawn": (
        NAMED, "1 held-out thing, drawn by RA-CM3",
    ),
    "named in the caption: both of two that RA-CM3 has drawn": (
        "caption names both things", "2 held-out things, drawn by RA-CM3",
    ),
    "named in the caption: a thing of a new document": (NAMED, OWN),
    "told from another after one example each: by the picture": (
        SHOT, "by how likely the picture is",
    ),
    "told from another after one example each: by the label": (SHOT, "by how likely the label is"),
    "image perplexity, two documents": ("image perplexity, K = 2", "scenes of held-out things"),
    "image perplexity, two random documents": (
        "image perplexity, K = 2 random", "scenes of held-out things",
    ),
    "text perplexity, two documents": ("text perplexity, K = 2", "scenes of held-out things"),
    "document found first: by its text": ("recall@1, text to document", "all things"),
    "document found first: by its picture": ("recall@1, picture to document", "all things"),
    "right after the image tokenizer alone": (FIDELITY, "held-out scenes, tokenizer alone"),
}  # fmt: skip
WORLDS = {
    "sample world, every order once": ("sample-1h", "sample-trained", "sample-trained-long"),
    "photographs, a GPU": ("photographs-gpu",),
}
# Which paragraph of docs/comparisons.md says why an order is not there.
IMAGE, TEXT = "image perplexity", "text perplexity"
PARAGRAPHS = {
    ("sample", "table5-alpha", IMAGE): "alpha",
    ("sample", "table5-alpha", TEXT): "alpha",
    ("sample", "table5-modality", TEXT): "texts alone",
    ("sample", "table5-modality", IMAGE): "pictures alone",
    ("sample", "table5-diversity", IMAGE): "diversity",
    ("sample", "table5-diversity", TEXT): "diversity",
    ("photographs", "table2", "frechet[image-tokenizer]"): "drawn",
    ("photographs", "table6", IMAGE): "any picture",
    ("photographs", "table5-relevance", IMAGE): "any picture",
    ("photographs", "table5-alpha", IMAGE): "by heart",
    ("photographs", "table5-alpha", TEXT): "by heart",
}


def number(estimate: dict | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate['value']:.3g} [{estimate['low']:.3g}, {estimate['high']:.3g}]"


def sample() -> str:
    report = json.loads((ROOT / "docs/results/sample.json").read_text())
    measured = {(row["measure"], row["on"]): row for row in report["rows"]}
    rows = [
        {
            "on scenes of held-out things": what,
            "RA-CM3": number(measured[key]["racm3"]),
            "CM3": number(measured[key]["cm3"]),
        }
        for what, key in SHOWN.items()
    ]
    count = report["rows"][0]["racm3"]["count"]
    return (
        f"{table(rows)}\n\n"
        f"`{report['command']}`: seed {report['seed']}, {count} scenes a row unless the report "
        "says otherwise, 95% bootstrap intervals; all rows, by their measures' names, are in "
        "[docs/results/sample.md](docs/results/sample.md)."
    )


def tables(files: Iterable[str]) -> dict[str, dict]:
    """The papers' tables of several reports, a later one's before an earlier one's."""
    found = [json.loads((RESULTS / f"study-{file}.json").read_text())["tables"] for file in files]
    return {name: one for name, one in ChainMap(*reversed(found)).items() if not TABLES[name].ours}


def counts() -> str:
    """How many orders are there, in each column and with every order once."""
    rows = []
    for name, files in {**WORLDS, **STUDIES}.items():
        verdicts = [one["verdict"] for found in tables(files).values() for one in found["claims"]]
        counted = Counter(verdicts)
        share = f"{counted['reproduced'] / len(verdicts):.0%}"
        rows.append({"orders of": name, "all": len(verdicts), **counted, "share": share})
    return table(rows)


def missing() -> dict[str, str]:
    """Every order that is not there, by the paragraph that says why."""
    told: dict[str, list[str]] = {name: [] for name in PARAGRAPHS.values()}
    for name, files in WORLDS.items():
        world = name.partition(",")[0].removesuffix(" world")
        for table_name, found in tables(files).items():
            for verdict in found["claims"]:
                if verdict["verdict"] != "reproduced":
                    where = (world, table_name, verdict["claim"]["metric"])
                    told[PARAGRAPHS[where]].append(order(TABLES[table_name].source, verdict))
    return {name: "\n".join(orders) for name, orders in told.items()}


def order(source: str, verdict: dict) -> str:
    claim = verdict["claim"]
    said = f"- {source}, {claim['metric']}: *{claim['better']}* before *{claim['worse']}*"
    return f"{said}: {verdict['verdict']}, {number(verdict['ratio'])} ({verdict['paper']:.2f})"


def pages() -> dict[str, str]:
    """Each page as it should be, by its path."""
    reports = {
        name: [RESULTS / f"study-{file}.json" for file in files] for name, files in STUDIES.items()
    }
    blocks = {
        "README.md": {"results": sample(), "study": summary(reports)},
        "docs/comparisons.md": {"counts": counts(), **missing()},
    }
    return {name: filled(name, written) for name, written in blocks.items()}


def filled(name: str, written: dict[str, str]) -> str:
    text = (ROOT / name).read_text()
    for block, made in written.items():
        text, places = re.subn(
            rf"(<!-- {block}: written by runs/readme.py -->\n).*?(<!-- end of {block} -->)",
            lambda match, made=made: f"{match[1]}{made}\n{match[2]}",
            text,
            flags=re.DOTALL,
        )
        if places != 1:
            raise SystemExit(f"{name} has {places} places for {block}")
    return text


def main() -> None:
    for name, text in pages().items():
        (ROOT / name).write_text(text)


if __name__ == "__main__":
    main()
