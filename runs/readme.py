"""Write the measured tables into README.md, after `racm3 evaluate sample` and `racm3 study report`:
.venv/bin/python runs/readme.py."""

import json
import re
from pathlib import Path

from racm3.recipes.study.report import summary

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"
STUDIES = {
    "sample world, the shipped generators": "sample-trained",
    "sample world, trained for this": "sample-2h",
    "sample world, from nothing": "sample-1h",
    "photographs": "photographs-2h",
    "photographs, twice the CM3": "photographs-3h",
}
SHOWN = (
    "fidelity",
    "all things among",
    "the thing among",
    "right among",
    "infilled half",
    "caption names",
    "image perplexity, K = 0",
    "image perplexity, K = 2",
    "text perplexity, K = 2",
    "reconstruction",
    "recall@1",
    "1-shot",
)


def number(estimate: dict | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate['value']:.3g} [{estimate['low']:.3g}, {estimate['high']:.3g}]"


def sample() -> str:
    report = json.loads((ROOT / "docs/results/sample.json").read_text())
    lines = ["| measure | on | RA-CM3 | CM3 |", "| --- | --- | --- | --- |"]
    for row in report["rows"]:
        if row["measure"].startswith(SHOWN):
            values = (row["measure"], row["on"], number(row["racm3"]), number(row["cm3"]))
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
    reports = {name: RESULTS / f"study-{file}.json" for name, file in STUDIES.items()}
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
