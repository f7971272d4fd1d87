"""Verbs that measure and show."""

import json as json_
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from racm3.data.ahead import Tolerance
from racm3.data.sources import read_source
from racm3.document import Document, Image
from racm3.errors import ConfigError, SourceError
from racm3.evaluation import sample as judge
from racm3.evaluation.captions import cider, coco_scores, words
from racm3.evaluation.features import (
    Extractor,
    clip_features,
    inception,
    pixel_features,
    tokenizer_features,
)
from racm3.evaluation.frechet import extrapolated_frechet, frechet_estimate, kernel_distance
from racm3.evaluation.report import Estimate, mean
from racm3.evaluation.shown import sheet
from racm3.interfaces.cli.answer import Using
from racm3.interfaces.page.gallery import make_gallery
from racm3.recipes.study import plan
from racm3.recipes.study.budgets import BUDGETS
from racm3.recipes.study.report import write
from racm3.recipes.study.worlds import finished
from racm3.runtime import write_whole
from racm3.system import Settings

# Tables that take minutes.
OWN = ("table2", "table3", "table4", "table6")


def demo(*, out: Path = Path("out/demo"), using: Using = Using(), settings: Settings) -> None:
    """Draw, describe and infill with the sample system, and write a gallery of what came out.

    Args:
        out: The folder for gallery.html and contact-sheet.png.
        using: System and memory.
    """
    began = time.perf_counter()
    system = using.open()
    gallery = make_gallery(system, settings, out)
    print(f"drew, described and infilled in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    print(gallery)


def sample(
    *,
    out: Path = Path("docs/results"),
    count: int = 100,
    using: Using = Using(),
    settings: Settings,
) -> None:
    """Measure everything that is claimed of the sample system, with intervals.

    What was measured is kept: whoever is stopped goes on with the same command, and where it runs
    in several processes they share the work.

    Args:
        out: Where sample.json, sample.md and sample-failures.png go: the first four of each
            kind of answer that were wrong, beside what was asked for.
        count: Scenes for each measure.
        using: System and memory.
    """
    system = using.open()
    kept = out / ".measured" / judge.fingerprint(system, count, settings)
    rows, wrong = judge.measured(judge.Questions(system, count, settings).pieces, kept)
    judge.write_report(rows, out, system=system, command=_command(), seed=settings.seed)
    write_whole(out / "sample-failures.png", sheet(wrong).png())
    print(judge.as_table(rows))
    print(out / "sample.md")


def documents(
    source: Path,
    *,
    tables: list[str] | None = None,
    count: int = 200,
    out: Path = Path("out/evaluation"),
    tolerate: int = 0,
    using: Using = Using(),
) -> None:
    """Judge a system on documents that it never saw, as the papers' tables judge theirs.

    Perplexities, drawings, captions and recall, beside the retrieval baseline, the copy meter and
    what the memory knows already. What was measured is kept: the same command goes on.

    Args:
        source: Documents with a text and a picture each, in any form that `memory build` reads.
        tables: Names from `racm3 study list --budget trained`.
        count: Documents, at most.
        out: Where answers and the report go.
        tolerate: How many broken documents may be left out.
        using: System and memory.
    """
    broken, halves, found = Tolerance(tolerate), 0, list[Document]()
    for entry in read_source(source, broken):
        if len(found) == count:
            break
        if entry.document.images and entry.document.text.strip():
            found.append(entry.document)
        else:
            halves += 1
    if halves or broken.problems:
        left_out = f"{halves} without a text or a picture, {len(broken.problems)} unreadable"
        print(f"documents left out: {left_out}", file=sys.stderr)
    if len(found) < 2:
        raise SourceError(f"{source} has {len(found)} documents with a text and a picture, not two")
    budget = replace(BUDGETS["trained"], unseen=len(found), drawings=min(len(found), 100))
    system = using.open(small=0)
    if system.library.retriever().empty:
        raise ConfigError("this system has nothing to consult; give a --memory with documents")
    world, chosen = finished(system.parts, found), plan.chosen(tables or list(OWN), budget)
    plan.run(chosen, world, budget, out / "measured", tell=print)
    print(
        write(
            chosen, world, budget, out / "measured", out, name="evaluation",
            about={"command": _command(), "world": world.name},
        )
    )  # fmt: skip


def pictures(
    made: Path,
    real: Path,
    *,
    features: str = "clip",
    using: Using = Using(),
    json: bool = False,
) -> None:
    """How far two sets of pictures are apart: Frechet and kernel distances over any features.

    Args:
        made: Pictures in any form that `memory build` reads.
        real: The pictures they are compared with.
        features: clip or image-tokenizer (the system's), pixels, or the TorchScript file
            inception-2015-12-05.pt, with which the distance is the FID.
        using: System.
        json: Print JSON.
    """
    extract = _extractor(features, using)
    one, other = (extract(_pictures(path)) for path in (made, real))
    scores = {
        f"frechet[{extract.name}]": frechet_estimate(one, other).to_json(),
        f"extrapolated frechet[{extract.name}]": extrapolated_frechet(one, other),
        f"kernel distance[{extract.name}]": kernel_distance(one, other),
        "pictures": [len(one), len(other)],
    }
    _show(scores, json)


def captions(said: Path, *, json: bool = False) -> None:
    """CIDEr-D, CIDEr, BLEU-4 and ROUGE-L of captions, with intervals.

    Args:
        said: JSON lines: {"caption": "a red boat", "references": ["a boat", "the red boat"]}.
        json: Print JSON.
    """
    try:
        read = said.read_text(encoding="utf-8").splitlines()
        lines = [json_.loads(line) for line in read if line.strip()]
        spoken = [words(line["caption"]) for line in lines]
        right = [[words(one) for one in line["references"]] for line in lines]
        if not right or not all(isinstance(line["references"], list) and some
                                for line, some in zip(lines, right, strict=True)):  # fmt: skip
            raise ValueError("references are missing")
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise SourceError(
            f"{said} cannot be read ({error}); every line needs a caption and its references"
        ) from error
    scores = {
        "cider-d": cider(spoken, right),
        "cider": cider(spoken, right, variant="cider"),
        **coco_scores(spoken, right),
    }
    _show({name: mean(values.tolist()).to_json() for name, values in scores.items()}, json)


def _pictures(source: Path) -> Iterator[Image]:
    found = (one for entry in read_source(source, Tolerance()) for one in entry.document.images)
    first = next(found, None)
    if first is None:
        raise SourceError(f"there is no picture in {source}")
    yield first
    yield from found


def _extractor(features: str, using: Using) -> Extractor:
    if features == "pixels":
        return pixel_features()
    if features == "clip":
        return clip_features(using.open(small=0).encoder)
    if features == "image-tokenizer":
        return tokenizer_features(using.open(small=0).codec.image)
    return inception(Path(features))


def _show(scores: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json_.dumps(scores))
        return
    for name, value in scores.items():
        print(f"{name}: {Estimate(**value) if isinstance(value, dict) else value}")


def _command() -> str:
    program = Path(sys.argv[0])  # `racm3`, or `python -m racm3`
    ours = "racm3" in (program.name, program.parent.name)
    return " ".join(["racm3", *sys.argv[1:]]) if ours else "racm3"
