"""What a study found, for people: tables beside the papers' numbers, verdicts, and plots."""

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from racm3.errors import ConfigError
from racm3.evaluation.leakage import Guard, Leak, clean, find_leaks
from racm3.evaluation.report import Estimate, table
from racm3.recipes.study.asked import Asked, answer
from racm3.recipes.study.budgets import Budget
from racm3.recipes.study.learnt import every_run, learn
from racm3.recipes.study.tables import TABLES, Table
from racm3.recipes.study.verdicts import METRICS, Compared, answers, estimate, judge, seeded
from racm3.recipes.study.worlds import World
from racm3.runtime import progress, save_json, write_whole

# Episodes are drawn from classes; they have nothing to do with the unseen documents.
EPISODIC = {"accuracy"}
UNLEAKED = ", unleaked"
STYLE = (
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;"
    "padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}"
    "td,th{border:1px solid #8886;padding:.3rem .6rem;text-align:left}img{max-width:100%}</style>"
)


def chosen(names: Sequence[str], budget: Budget) -> list[Table]:
    """Tables by name; all that the budget can give where none is named."""
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        raise ConfigError(f"there is no table {unknown[0]!r}; choose among {', '.join(TABLES)}")
    given = [name for name, one in TABLES.items() if not out_of_reach(one, budget)]
    for name in names:
        if why := out_of_reach(TABLES[name], budget):
            raise ConfigError(f"{name} {why}; choose another --budget, or {', '.join(given)}")
    return [TABLES[name] for name in names or given]


def out_of_reach(one: Table, budget: Budget) -> str:
    """Why this budget cannot give the table; "" where it can."""
    if budget.trained and one.needs_training:
        return "compares generators that a finished system does not have"
    if budget.pretrain and one.name == "finetune":
        return "compares with training from nothing, and every run starts from a CM3"
    return ""


def questions(tables: Sequence[Table], world: World, budget: Budget) -> list[Asked]:
    """Every question of the tables once; few-shot only where the world has classes."""
    wanted = dict.fromkeys(
        one
        for table in tables
        for row in table.rows
        for asked in row.asked
        for one in seeded(asked, budget)
    )
    return [one for one in wanted if one.measure != "few-shot" or world.classes]


def run(
    tables: Sequence[Table],
    world: World,
    budget: Budget,
    folder: Path,
    *,
    tell: Callable[[str], None],
) -> None:
    """Train and ask whatever is not there yet; killed at any time, it goes on where it was."""
    wanted = questions(tables, world, budget)
    runs = every_run([one for table in tables for one in table.learnt], budget)
    for number, learnt in enumerate([] if budget.trained else runs):
        tell(f"run {number + 1} of {len(runs)}: {learnt.key}")
        learn(learnt, world, budget, folder)
    for asked in progress(wanted, label="questions", total=len(wanted)):
        answer(asked, world, budget, folder)


def measured(
    one: Table, world: World, budget: Budget, folder: Path, clean: np.ndarray | None = None
) -> dict[str, dict[str, Estimate]]:
    """Every row's estimates by metric, as far as this world can give them.

    Where some documents leak, every metric is estimated among the `clean` ones, too.
    """
    found: dict[str, dict[str, Estimate]] = {}
    for row in one.rows:
        known = [asked for asked in row.asked if asked.measure != "few-shot" or world.classes]
        if known:
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
        lines.append(
            f"- {claim.metric}: *{claim.better}* before *{claim.worse}*: **{one.verdict}**{ratio}"
        )
    return "\n".join(lines)


def leaks(world: World) -> list[Leak]:
    """Evaluation documents that the memory shows already."""
    if world.scenes:
        return []
    known = next(world.open_memory.blocks())
    return find_leaks(world.unseen, world.open_memory.documents(known.ids.tolist()), Guard())


def told(found: Sequence[Leak], world: World) -> str:
    """The same as a sentence."""
    if world.scenes:
        return "The memory shows every thing of the unseen scenes on purpose; no scene is in it."
    kinds = Counter(leak.why for leak in found)
    words = ", ".join(f"{count} by {why}" for why, count in sorted(kinds.items())) or "none"
    return f"Of {len(world.unseen)} unseen documents the memory shows already: {words}."


def cost(budget: Budget) -> str:
    """What stands behind the numbers, as a sentence."""
    if budget.trained:
        return "The generators of a finished system, as they are; nothing was trained for this."
    first = ", each from the same trained CM3 (RA-CM3, §D.2)" if budget.pretrain else ""
    seeds = ", ".join(map(str, budget.seeds))
    return f"Training seeds {seeds}; {budget.steps} updates a run{first}."


def write(
    tables: Sequence[Table],
    world: World,
    budget: Budget,
    folder: Path,
    out: Path,
    *,
    about: dict[str, Any],
) -> Path:
    """study-WORLD.md, the same as a page, .json and plots in `out`."""
    leaking = leaks(world)
    unleaked = np.flatnonzero(clean(len(world.unseen), leaking)) if leaking else None
    parts = [
        f"# The study on {world.name}",
        f"`{about['command']}`",
        world.stand_ins,
        told(leaking, world),
        f"{cost(budget)} 95% bootstrap intervals over documents. A ratio below 1 is better for "
        "perplexity and Frechet distance, above 1 for the rest; an order is *reproduced* where its "
        "interval excludes 1.",
    ]
    every: list[Compared] = []
    stored: dict[str, Any] = {}
    for one in tables:
        found = measured(one, world, budget, folder, unleaked)
        if not found:
            continue
        compared = judge(one, world, budget, folder) if len(found) == len(one.rows) else []
        every += compared
        stored[one.name] = {
            "rows": {
                label: {metric: value.to_json() for metric, value in values.items()}
                for label, values in found.items()
            },
            "claims": [asdict(one) for one in compared],
        }
        parts += [f"## {one.title} ({one.source})", as_table(one, found), sentences(compared)]
        picture = plot(one, found, out / f"study-{world.name}-{one.name}.png")
        if picture:
            parts.append(f"![{one.title}]({picture.name})")
    counted = Counter(one.verdict for one in every)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counted.most_common())
    parts.insert(4, f"**Orders that the papers claim: {summary or 'none judged'}.**")
    written = "\n\n".join(part for part in parts if part) + "\n"
    write_whole(out / f"study-{world.name}.md", written)
    write_whole(out / f"study-{world.name}.html", page(written, out))
    save_json(out / f"study-{world.name}.json", {**about, "tables": stored})
    return out / f"study-{world.name}.md"


def page(markdown: str, folder: Path) -> str:
    """A report as one file that can be sent to somebody: its plots are inside."""
    from markdown_it import MarkdownIt

    body: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    for picture in re.findall(r'src="([^"]+\.png)"', body):
        inside = base64.b64encode((folder / picture).read_bytes()).decode()
        body = body.replace(f'src="{picture}"', f'src="data:image/png;base64,{inside}"')
    return f"<!doctype html>\n<meta charset=utf-8><title>racm3</title>{STYLE}\n{body}"


def plot(one: Table, found: dict[str, dict[str, Estimate]], path: Path) -> Path | None:
    """The first metric against the number in each row's label, RA-CM3 and CM3 apart."""
    if not one.curve or sum(one.metrics[0] in values for values in found.values()) < 3:
        return None
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    lines: dict[str, list[tuple[float, Estimate]]] = {}
    for label, values in found.items():
        numbers = [w for w in label.replace(",", " ").split() if w.replace(".", "").isdigit()]
        if one.metrics[0] in values and numbers:
            name = label.split(",")[0] if "," in label else one.title
            lines.setdefault(name, []).append((float(numbers[0]), values[one.metrics[0]]))
    for name, points in lines.items():
        x = [at for at, _ in points]
        y = [value.value for _, value in points]
        error = [
            [value.value - value.low for _, value in points],
            [value.high - value.value for _, value in points],
        ]
        axes.errorbar(x, y, yerr=error, marker="o", capsize=3, label=name)
    axes.set_xlabel(one.curve)
    axes.set_ylabel(one.metrics[0])
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
    return path


def listing(names: Sequence[str], budget: Budget) -> str:
    """What each table compares, and how many runs and questions it costs."""
    rows = []
    for one in chosen(names, budget):
        asked = dict.fromkeys(a for row in one.rows for a in row.asked)
        runs = [] if budget.trained else every_run(one.learnt, budget)
        rows.append(
            {
                "table": one.name,
                "what": one.title,
                "source": one.source,
                "runs": len(runs),
                "questions": sum(len(seeded(a, budget)) for a in asked),
                "orders claimed": len(one.claims),
            }
        )
    every = [learnt for one in chosen(names, budget) for learnt in one.learnt]
    total = [] if budget.trained else every_run(every, budget)
    return table(rows) + f"\n\n{len(total)} runs in all: tables share them."


def stored_verdicts(path: Path) -> list[dict[str, Any]]:
    """The claims of a written report, for whoever builds on it."""
    tables = json.loads(path.read_text(encoding="utf-8"))["tables"]
    return [claim for one in tables.values() for claim in one["claims"]]
