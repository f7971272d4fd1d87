"""What a study found, for people: tables beside the papers' numbers, verdicts, and plots."""

import base64
import re
from collections import ChainMap, Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from racm3.evaluation.leakage import Guard, Leak, clean, find_leaks
from racm3.evaluation.report import Estimate, table
from racm3.recipes.study.budgets import Budget
from racm3.recipes.study.plan import answerable, claim, cost, identity, measured_seeds
from racm3.recipes.study.plots import gallery, plot
from racm3.recipes.study.rows import Table
from racm3.recipes.study.tables import TABLES
from racm3.recipes.study.verdicts import METRICS, Compared, answers, estimate, judge
from racm3.recipes.study.worlds import World
from racm3.runtime import load_json, progress, save_json, write_whole

# Episodes are drawn from classes; they have nothing to do with the unseen documents.
EPISODIC = {"accuracy"}
UNLEAKED = ", unleaked"
HEADLINES = {"table2", "table3"}
MARKS = {"reproduced": "✓", "not resolved": "?", "contradicted": "✗", "not measured": "·"}
READ_AT_ONCE = 1024
STYLE = (
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;"
    "padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}"
    "td,th{border:1px solid #8886;padding:.3rem .6rem;text-align:left}img{max-width:100%}</style>"
)


def measured(
    one: Table, world: World, budget: Budget, folder: Path, clean: np.ndarray | None = None
) -> dict[str, dict[str, Estimate]]:
    """Every row's estimates by metric, as far as this world can give them.

    Where some documents leak, every metric is estimated among the `clean` ones, too.
    """
    found: dict[str, dict[str, Estimate]] = {}
    for row in one.rows:
        if all(answerable(asked, world, budget) for asked in row.asked):
            given = {m: answers(row, m, world, budget, folder) for m in one.metrics}
            given = {m: some for m, some in given.items() if some}
            values = {m: estimate(some, m) for m, some in given.items()}
            if clean is not None and not EPISODIC & set(given):
                values |= {
                    m + UNLEAKED: estimate(some, m, among=clean)
                    for m, some in given.items()
                    if (clean < len(some[0][METRICS[m].needs])).any()
                }
            found[row.label] = values
    return found


def as_table(one: Table, found: dict[str, dict[str, Estimate]]) -> str:
    metrics = [
        metric
        for name in one.metrics
        for metric in (name, name + UNLEAKED)
        if any(metric in row for row in found.values())
    ]
    rows = []
    for row in one.rows:
        values = found.get(row.label, {})
        line: dict[str, Any] = {"": row.label}
        for metric in metrics:
            line[metric] = str(values.get(metric, ""))
            if any(metric in other.paper for other in one.rows):
                line[f"paper: {metric}"] = row.paper.get(metric, "")
        rows.append(line)
    return table(rows)


def sentences(compared: Sequence[Compared]) -> str:
    lines = []
    for one in compared:
        claim = one.claim
        ratio = f", ratio {one.ratio}" if one.ratio else ""
        ratio += f", by seed {', '.join(f'{seed:.3g}' for seed in one.seeds)}" if one.seeds else ""
        paper = f" (paper {one.paper:.2f})" if one.paper else ""
        order = f"*{claim.better}* before *{claim.worse}*"
        lines.append(f"- {claim.metric}: {order}: **{one.verdict}**{ratio}{paper}")
    return "\n".join(lines)


def leaks(world: World) -> list[Leak]:
    """Evaluation documents that the memory shows already; it is read a part at a time."""
    if world.scenes:
        return []
    found = []
    for block in world.open_memory.blocks():
        starts = range(0, len(block.ids), READ_AT_ONCE)
        for start in progress(starts, label="what the memory shows already", total=len(starts)):
            ids = block.ids[start : start + READ_AT_ONCE].tolist()
            for leak in find_leaks(world.unseen, world.open_memory.documents(ids), Guard()):
                found.append(replace(leak, memory=tuple(ids[row] for row in leak.memory)))
    return found


def told(found: Sequence[Leak], world: World) -> str:
    """The same as a sentence."""
    if world.scenes:
        return "The memory shows every thing of the unseen scenes on purpose; no scene is in it."
    kinds = Counter(why for _, why in {(leak.document, leak.why) for leak in found})
    words = ", ".join(f"{count} by {why}" for why, count in sorted(kinds.items())) or "none"
    return f"Of {len(world.unseen)} unseen documents the memory shows already: {words}."


def fewer(wanted: Budget, measured: Budget) -> str:
    """That a table has fewer seeds than the report; "" where it has them all."""
    left = ", ".join(map(str, sorted(set(wanted.seeds) - set(measured.seeds))))
    seeds = ", ".join(map(str, measured.seeds))
    return f"Measured with seed {seeds} alone; seed {left} was not run." if left else ""


class Section(NamedTuple):
    """What a report says of one table."""

    parts: list[str]
    compared: list[Compared]
    stored: dict[str, Any]


def section(
    one: Table, world: World, wanted: Budget, folder: Path, clean: np.ndarray | None, pictures: Path
) -> Section | None:
    """Its table, verdicts, plot and drawings; none where this world cannot be asked it.

    The pictures' paths begin with `pictures`.
    """
    budget = replace(wanted, seeds=measured_seeds(one, world, wanted, folder))
    found = measured(one, world, budget, folder, clean)
    if not found:
        return None
    claims = tuple(c for c in one.claims if {c.better, c.worse} <= set(found))
    compared = judge(replace(one, claims=claims), world, budget, folder)
    rows = {
        label: {metric: value.to_json() for metric, value in values.items()}
        for label, values in found.items()
    }
    stored = {"seeds": budget.seeds, "rows": rows, "claims": [asdict(one) for one in compared]}
    shown = (
        plot(one, found, world, budget, pictures.with_name(f"{pictures.name}-{one.name}.png")),
        gallery(
            one, world, budget, folder, pictures.with_name(f"{pictures.name}-{one.name}-drawn.png")
        ),
    )
    parts = [f"## {one.title} ({one.source})", fewer(wanted, budget), as_table(one, found)]
    parts += [sentences(compared)]
    parts += [f"![{one.title}]({picture.name})" for picture in shown if picture]
    return Section(parts, compared, stored)


def write(
    tables: Sequence[Table],
    world: World,
    budget: Budget,
    folder: Path,
    out: Path,
    *,
    name: str,
    about: dict[str, Any],
) -> Path:
    """NAME.md, the same as a page, NAME.json and plots in `out`."""
    claim(folder, world, budget)
    leaking = leaks(world)
    unleaked = np.flatnonzero(clean(len(world.unseen), leaking)) if leaking else None
    who = identity(world, budget)
    sections = {
        one.name: made
        for one in tables
        if (made := section(one, world, budget, folder, unleaked, out / name))
    }
    theirs = [sections[one.name] for one in tables if one.name in sections and not one.ours]
    counted = Counter(one.verdict for made in theirs for one in made.compared)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counted.most_common())
    resampled = "training seeds and documents" if len(budget.seeds) > 1 else "documents"
    parts = [
        f"# The study on {world.name}",
        f"`{about['command']}`",
        world.stand_ins,
        told(leaking, world),
        f"**Orders that the papers claim: {summary or 'none judged'}.**",
        f"{cost(tables, budget, world)} 95% bootstrap intervals over {resampled}. A ratio below "
        "1 is better for perplexity and Frechet distance, above 1 for the rest; an order is "
        "*reproduced* where its interval excludes 1.",
        f"System {who['system']}, memory {who['memory']}, encoder {who['encoder']}.",
        *(part for made in sections.values() for part in made.parts),
    ]
    written = "\n\n".join(part for part in parts if part) + "\n"
    write_whole(out / f"{name}.md", written)
    write_whole(out / f"{name}.html", page(written, out))
    stored = {table_name: made.stored for table_name, made in sections.items()}
    save_json(out / f"{name}.json", {**about, "identity": who, "tables": stored})
    return out / f"{name}.md"


def page(markdown: str, folder: Path) -> str:
    """A report as one file that can be sent to somebody: its plots are inside."""
    from markdown_it import MarkdownIt

    body: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    for picture in re.findall(r'src="([^"]+\.png)"', body):
        inside = base64.b64encode((folder / picture).read_bytes()).decode()
        body = body.replace(f'src="{picture}"', f'src="data:image/png;base64,{inside}"')
    return f"<!doctype html>\n<meta charset=utf-8><title>racm3</title>{STYLE}\n{body}"


def summary(reports: Mapping[str, Sequence[Path]]) -> str:
    """Stored reports side by side: the papers' orders, those of tables 2 and 3 one by one.

    Of several reports in one column a later one's tables stand for those of the earlier ones.
    """
    stored = {name: [load_json(path) for path in paths] for name, paths in reports.items()}
    told: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, some in stored.items():
        for table_name, found in ChainMap(*(one["tables"] for one in reversed(some))).items():
            for verdict in found["claims"]:
                order = verdict["claim"]
                alone = table_name in HEADLINES
                what = f"{order['better']} before {order['worse']}: {order['metric']}"
                asked = TABLES[table_name]
                whose = "ours" if asked.ours else asked.source
                line = what if alone else f"{whose}: {asked.title}"
                told.setdefault(line, {}).setdefault(name, []).append(verdict)
    rows = [
        {
            "order": line,
            "papers": _papers(by_name),
            **{name: _in_short(by_name.get(name, [])) for name in stored},
        }
        for line, by_name in told.items()
    ]
    commands = [
        f"- {name}: " + ", then ".join(f"`{one['command']}`" for one in some)
        for name, some in stored.items()
    ]
    marks = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    legend = f"{marks}. Numbers are the first over the second."
    return "\n\n".join([table(rows), legend, "\n".join(commands)])


def _papers(by_name: Mapping[str, list[dict[str, Any]]]) -> str:
    """The papers' own ratio where a line is one order."""
    first = next(iter(by_name.values()))
    return f"{first[0]['paper']:.2f}" if len(first) == 1 and first[0]["paper"] else ""


def _in_short(claims: list[dict[str, Any]]) -> str:
    if len(claims) == 1:
        (one,) = claims
        return f"{MARKS[one['verdict']]} {Estimate(**one['ratio'])}"
    counted = Counter(one["verdict"] for one in claims)
    return ", ".join(f"{counted[name]} {mark}" for name, mark in MARKS.items() if counted[name])
