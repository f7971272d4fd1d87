"""Contrastive learning of the small CLIP: what counts as a pair, and that it is learnt."""

import pytest
import torch
import torch.nn.functional as F

from racm3.data.sample_world import corpus
from racm3.document import Document
from racm3.training.clip import ClipLearner, ClipTraining, new_clip

CONFIG = ClipTraining(
    steps=40, warmup=1, lr=3e-3, width=48, layers=1, dim=16, vocabulary=300, side=32, patch=8
)


def learner(documents: list[Document]) -> ClipLearner:
    encoder = new_clip(CONFIG, [document.text for document in documents])
    return ClipLearner(encoder, CONFIG, lambda step: documents, documents, torch.device("cpu"))


def cosine_loss(one: torch.Tensor, other: torch.Tensor, scale: float) -> float:
    """InfoNCE, written out."""
    total = 0.0
    for a, b in ((one, other), (other, one)):
        for row in range(len(a)):
            logits = [scale * F.cosine_similarity(a[row], b[k], dim=0) for k in range(len(b))]
            total -= torch.log_softmax(torch.stack(logits), 0)[row].item() / len(a) / 2
    return total


def test_text_and_every_picture_of_a_document_are_pairs():
    documents = corpus.clip_pairs(0, batch=6)
    one = learner(documents)
    views = [
        torch.from_numpy(one.encoder.texts([document.text for document in documents])),
        *(
            torch.from_numpy(one.encoder.images([document.images[i] for document in documents]))
            for i in (0, 1)
        ),
    ]
    scale = one.clip.logit_scale.exp().item()
    pairs = [cosine_loss(views[a], views[b], scale) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert one.learn_from(0)["loss"] == pytest.approx(sum(pairs) / 3, rel=1e-4)


def test_pictures_that_some_documents_lack_are_left_out():
    first, *rest = corpus.clip_pairs(0, batch=4)
    alone = [Document.of(d.text, d.images[0]) for d in (first, *rest)]
    mixed = [Document.of(first.text, first.images[0]), *rest]
    assert learner(mixed).learn_from(0) == learner(alone).learn_from(0)


def test_no_more_pictures_are_looked_at_than_was_said():
    documents = corpus.clip_pairs(0, batch=4)
    many = [Document.of(d.text, *d.images, *d.images) for d in documents]
    assert learner(many).learn_from(0) == learner(documents).learn_from(0)


def test_a_few_pairs_are_learnt_by_heart():
    one = learner(corpus.clip_pairs(0, batch=6))
    first = one.learn_from(0)["loss"]
    for step in range(1, CONFIG.steps):
        last = one.learn_from(step)["loss"]
    assert last < 0.7 * first
    assert one.validate()["recall@1"] > 0.5
