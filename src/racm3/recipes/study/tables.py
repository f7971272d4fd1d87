"""The papers' tables as data: what is compared, what they report, and which order they claim."""

from dataclasses import replace

from racm3.recipes.study.asked import Asked
from racm3.recipes.study.learnt import CM3, RACM3, Learnt, Met, Strategy
from racm3.recipes.study.rows import (
    FRECHET,
    KERNEL,
    PARAMETERS,
    PERPLEXITIES,
    Claim,
    Row,
    Table,
    claims,
    described,
    drawn,
    perplexity_row,
)

NOTHING = Asked(learnt=CM3, neighbours="none")
FULL = Asked()


def _relevance() -> Table:
    random = Learnt(neighbours="random")
    rows = (
        perplexity_row("retrieved at training and inference", FULL, 227, 13),
        perplexity_row("retrieved at training only", Asked(neighbours="random"), 246, 24),
        perplexity_row("retrieved at inference only", Asked(learnt=random), 243, 18),
        perplexity_row("random at both", Asked(learnt=random, neighbours="random"), 246, 23),
    )
    first, *rest = (row.label for row in rows)
    return Table(
        "table5-relevance", "Relevance of the documents", "RA-CM3, Table 5", PERPLEXITIES, rows,
        claims(PERPLEXITIES, first, *rest),
    )  # fmt: skip


def _modality(*, met: Met = "updates") -> Table:
    """One side alone takes less room, so as many updates meet more documents of it."""
    rows = [perplexity_row("text and picture", FULL, 227, 13)]
    for kind in ("text", "image"):
        asked = Asked(learnt=Learnt(modality=kind, met=met), modality=kind)
        rows.append(perplexity_row(f"{kind} only", asked, 234, 15))
    order = claims(PERPLEXITIES, rows[0].label, *(row.label for row in rows[1:]))
    if met == "updates":
        name, title, source = "table5-modality", "What a document brings", "RA-CM3, Table 5"
    else:
        name, title = "equal-modality", "What a document brings, after as many documents met"
        source, rows = "design §2.4", [replace(row, paper={}) for row in rows]
    return Table(
        name, title, source, PERPLEXITIES, tuple(rows), order, ours=met == "documents"
    )  # fmt: skip


def _diversity() -> Table:
    plain = Learnt(diverse=False, dropout=0.0)
    skipping, forgetful = Learnt(dropout=0.0), Learnt(dropout=0.2)
    rows = (
        perplexity_row("avoid redundancy, query dropout", Asked(learnt=forgetful), 227, 13),
        perplexity_row("avoid redundancy", Asked(learnt=skipping), 235, 15),
        perplexity_row("plain top K", Asked(learnt=plain), 244, 17),
    )
    one, two, three = (row.label for row in rows)
    order = claims(PERPLEXITIES, one, two) + claims(PERPLEXITIES, two, three)
    return Table(
        "table5-diversity", "Diversity of the documents", "RA-CM3, Table 5", PERPLEXITIES, rows,
        order,
    )  # fmt: skip


def _alpha() -> Table:
    paper = {0.1: (227, 13), 0.0: (239, 17), 0.3: (231, 14), 1.0: (240, 17)}
    rows = tuple(
        perplexity_row(f"alpha {alpha:g}", Asked(learnt=Learnt(alpha=alpha)), *numbers)
        for alpha, numbers in paper.items()
    )
    return Table(
        "table5-alpha", "Loss on the retrieved documents", "RA-CM3, Table 5, Eq. 2",
        PERPLEXITIES, rows, claims(PERPLEXITIES, rows[0].label, *(r.label for r in rows[1:])),
    )  # fmt: skip


def _count() -> Table:
    paper = {1: 228, 2: 227, 4: 228, 8: 232}
    rows = tuple(
        Row(f"K = {k}", (Asked(documents=k),), {"image perplexity": number}, at=k)
        for k, number in paper.items()
    )
    return Table(
        "table6", "Number of documents", "RA-CM3, Table 6", PERPLEXITIES,
        (Row("K = 0", (Asked(neighbours="none"),), at=0), *rows),
        claims(("image perplexity",), "K = 2", "K = 1", "K = 4", "K = 8"), curve="K",
    )  # fmt: skip


def _few_shot() -> Table:
    paper = {1: (0.78, 0.53), 2: (0.79, 0.50), 4: (0.86, 0.56), 8: (0.90, 0.56)}
    rows, order = list[Row](), list[Claim]()
    for k, (ours, theirs) in paper.items():
        for name, learnt, number in (("RA-CM3", RACM3, ours), ("CM3", CM3, theirs)):
            asked = Asked(learnt=learnt, measure="few-shot", shots=k)
            rows.append(Row(f"{name}, k = {k}", (asked,), {"accuracy": number}, k, name))
        order += claims(("accuracy",), f"RA-CM3, k = {k}", f"CM3, k = {k}")
    return Table(
        "figure8", "k-shot classification", "RA-CM3, Fig. 8", ("accuracy",), tuple(rows),
        tuple(order), curve="k",
    )  # fmt: skip


def _scaling() -> Table:
    rows, order = list[Row](), list[Claim]()
    for scale, word in enumerate(("smallest", "small", "large", "largest")):
        pair = [replace(learnt, scale=scale) for learnt in (RACM3, CM3)]
        ours, theirs = Asked(learnt=pair[0]), Asked(learnt=pair[1], neighbours="none")
        rows.append(Row(f"RA-CM3, {word}", (ours,), line="RA-CM3"))
        rows.append(Row(f"CM3, {word}", (theirs,), line="CM3"))
        order += claims(PERPLEXITIES, f"RA-CM3, {word}", f"CM3, {word}")
    return Table(
        "figure9", "Size of the generator, equal updates", "RA-CM3, Fig. 9", PERPLEXITIES,
        tuple(rows), tuple(order), curve=PARAMETERS,
    )  # fmt: skip


def _pictures() -> Table:
    metrics = (
        FRECHET, KERNEL, "image perplexity", "image bits per dimension", "clipscore", "fidelity",
        "copied in place", "copied blocks", "nearest in memory",
    )  # fmt: skip
    rows = (
        Row("RA-CM3", (drawn(FULL), FULL), {FRECHET: 15.7}),
        Row("CM3", (drawn(NOTHING), NOTHING), {FRECHET: 29.5}),
        Row("retrieval baseline", (Asked(learnt=None, measure="drawings"),)),
    )
    return Table(
        "table2", "Text to picture", "RA-CM3, Table 2 (FID on COCO)", metrics, rows,
        claims((FRECHET, "image perplexity"), "RA-CM3", "CM3")
        + claims((FRECHET,), "RA-CM3", "retrieval baseline"),
    )  # fmt: skip


def _captions() -> Table:
    metrics = ("cider-d", "bleu-4", "rouge-l", "text perplexity", "named")
    rows = (
        Row("RA-CM3", (described(FULL), FULL), {"cider-d": 0.891}),
        Row("CM3", (described(NOTHING), NOTHING), {"cider-d": 0.719}),
        Row("retrieval baseline", (Asked(learnt=None, measure="captions"),)),
    )
    return Table(
        "table3", "Picture to text", "RA-CM3, Table 3 (CIDEr on COCO)", metrics, rows,
        claims(("cider-d", "text perplexity"), "RA-CM3", "CM3")
        + claims(("cider-d",), "RA-CM3", "retrieval baseline"),
    )  # fmt: skip


def _recall() -> Table:
    metrics = ("recall by text", "recall by image")
    rows = tuple(
        Row(
            label,
            (Asked(learnt=None, measure="recall", whole=whole),),
            dict(zip(metrics, paper, strict=True)),
        )
        for label, whole, paper in (
            ("whole documents", True, (0.61, 0.78)),
            ("their other side alone", False, (0.48, 0.56)),
        )
    )
    order = claims(metrics, *(row.label for row in rows))
    return Table("table4", "Recall@1", "RA-CM3, Table 4", metrics, rows, order)


def _guidance() -> Table:
    rows = tuple(
        Row(f"guidance {weight:g}", (Asked(measure="drawings", guidance=weight),), at=weight)
        for weight in (1.0, 1.5, 2.0, 3.0, 5.0)
    )
    return Table(
        "guidance", "Guidance weight", "CM3Leon, Fig. 4", (FRECHET, "clipscore", "fidelity"),
        rows, (), curve="guidance",
    )  # fmt: skip


def _decoding() -> Table:
    rows = tuple(
        Row(
            f"{how}, N = {count}",
            (Asked(measure="drawings", sampling=how, guidance=2.0, candidates=count),),
            at=count,
            line=how,
        )
        for how in ("top_p", "cd_k", "half")
        for count in (1, 4, 8)
    )
    return Table(
        "decoding", "Nucleus against CD-K against half of each", "CM3Leon, Fig. 5",
        (FRECHET, "clipscore", "fidelity"), rows, (), curve="candidates",
    )  # fmt: skip


def _documents() -> Table:
    paper = {0: 10.82, 1: 5.78, 2: 4.88}
    rows = tuple(
        Row(f"{k} documents", (Asked(measure="drawings", documents=k),), {FRECHET: number}, k)
        for k, number in paper.items()
    )
    two, one, none = (row.label for row in reversed(rows))
    return Table(
        "documents", "Documents when drawing", "CM3Leon, Table 1 (FID)", (FRECHET, "fidelity"),
        rows, claims((FRECHET,), two, one, none), curve="documents",
    )  # fmt: skip


def _ours() -> tuple[Table, ...]:
    rotation = tuple(
        Row(f"rotation {share:g}", (Asked(learnt=one), described(Asked(learnt=one))))
        for share in (0.0, 0.5, 1.0)
        for one in (Learnt(rotation=share),)
    )
    patient = Asked(learnt=replace(CM3, met="documents"), neighbours="none")
    met = (
        perplexity_row("RA-CM3", FULL),
        perplexity_row("CM3, as many updates", NOTHING),
        perplexity_row("CM3, as many documents", patient),
    )
    later = Learnt(after_cm3=True)
    start = (
        perplexity_row("from scratch", FULL),
        perplexity_row("from CM3, a few more updates", Asked(learnt=later)),
    )
    grown = tuple(
        Row(f"{share:.0%} of the memory", (Asked(share=share),), at=share)
        for share in (0.25, 0.5, 1.0)
    )
    words = [perplexity_row("CLIP", FULL)]
    ways: tuple[tuple[str, Strategy], ...] = (("BM25", "bm25"), ("both", "hybrid"))
    for name, how in ways:
        words.append(Row(name, (Asked(learnt=Learnt(strategy=how), strategy=how),)))
    shots = tuple(
        Row(f"{name}, k = {k}", (replace(asked, shots=k),), at=k, line=name)
        for name, learnt in (("RA-CM3", RACM3), ("CM3", CM3))
        for asked in (Asked(learnt=learnt, measure="few-shot", by="picture"),)
        for k in (1, 2, 4, 8)
    )
    both = (*PERPLEXITIES, "cider-d")
    return (
        Table("rotation", "Whole-segment rotation", "design §2.2", both, rotation, ()),
        Table("finetune", "From CM3 or from scratch", "RA-CM3, §D.2", PERPLEXITIES, start, ()),
        Table("equal-documents", "As many updates, or as many documents met", "design §2.4",
              PERPLEXITIES, met, claims(PERPLEXITIES, *(row.label for row in met)), ours=True),
        _modality(met="documents"),
        Table("memory", "A memory that grows after training", "RA-CM3, §1", PERPLEXITIES, grown,
              claims(PERPLEXITIES, grown[2].label, grown[0].label), curve="share of the memory"),
        Table("few-shot-by-picture", "k-shot classification by how likely the picture is",
              "Min et al. 2022", ("accuracy",), shots, (), curve="k"),
        Table("bm25", "Words or vectors", "RA-CM3, §3.2", ("image perplexity",), tuple(words),
              ()),
    )  # fmt: skip


TABLES = {
    table.name: table
    for table in (
        _pictures(), _captions(), _recall(), _relevance(), _modality(), _diversity(), _alpha(),
        _count(), _few_shot(), _scaling(), _guidance(), _decoding(), _documents(), *_ours(),
    )
}  # fmt: skip
