import math
from itertools import accumulate

import pytest
import torch

from racm3.errors import ConfigError
from racm3.generation.guidance import Guidance, contrastive, ensemble, guide, guide_twice
from racm3.generation.ranking import best_first, text_score
from racm3.generation.sampling import Sampling, draw, keep_top_k, nucleus, uniforms

LOGITS = torch.randn(3, 4, 12, generator=torch.Generator().manual_seed(0))
CONDITIONAL, VAGUE, OTHER = LOGITS


def test_weight_one_is_the_conditional_stream_and_zero_the_other():
    torch.testing.assert_close(guide(CONDITIONAL, VAGUE, 1.0), CONDITIONAL)
    torch.testing.assert_close(guide(CONDITIONAL, VAGUE, 0.0), VAGUE)


def test_three_streams_fall_back_to_two():
    both = guide_twice(CONDITIONAL, OTHER, VAGUE, image_weight=1.0, text_weight=1.0)
    torch.testing.assert_close(both, CONDITIONAL)
    same = guide_twice(CONDITIONAL, VAGUE, VAGUE, image_weight=9.0, text_weight=2.0)
    torch.testing.assert_close(same, guide(CONDITIONAL, VAGUE, 2.0))


def test_contrastive_decoding_by_its_definition():
    k, alpha = 3, 0.4
    scores = contrastive(CONDITIONAL, VAGUE, k=k, alpha=alpha)
    certain, vague = CONDITIONAL.softmax(-1), VAGUE.softmax(-1)
    for row in range(4):
        kth = sorted(certain[row].tolist(), reverse=True)[k - 1]
        for id_ in range(12):
            p, q = certain[row, id_].item(), vague[row, id_].item()
            expected = math.log(p) - math.log(q) if p >= alpha * kth else -math.inf
            assert scores[row, id_].item() == pytest.approx(expected, abs=1e-4)


def test_contrastive_decoding_survives_fewer_legal_ids_than_k():
    legal = torch.zeros(4, 12, dtype=torch.bool)
    legal[:, 5] = True
    assert (
        contrastive(CONDITIONAL, VAGUE, k=8, alpha=0.5, legal=legal).argmax(-1).tolist() == [5] * 4
    )


def test_an_ensemble_is_the_mean_probability():
    torch.testing.assert_close(ensemble(LOGITS).exp(), LOGITS.softmax(-1).mean(0))


def test_an_ensemble_counts_every_pass_by_its_share():
    shares = torch.arange(1.0, len(LOGITS) + 1) / sum(range(1, len(LOGITS) + 1))
    expected = torch.einsum("p,p...->...", shares, LOGITS.softmax(-1))
    torch.testing.assert_close(ensemble(LOGITS, shares.tolist()).exp(), expected)


def test_passes_count_by_what_their_documents_score():
    """REPLUG: the ratio of two shares is e to the difference of the scores, by the temperature."""
    guidance = Guidance(pass_temperature=0.1)
    one, other = guidance.shares([[0.9, 0.7], [0.8, 0.75]])
    assert one + other == pytest.approx(1)
    assert one / other == pytest.approx(math.exp((1.6 - 1.55) / 0.1))
    assert guidance.shares([[0.9, 0.7]]) == ()  # a single pass
    assert guidance.shares([[0.9, 0.7], [None]]) == ()  # chosen by the user, not looked up
    assert Guidance().shares([[0.9, 0.7], [0.1]]) == ()  # RA-CM3 §A
    with pytest.raises(ConfigError, match="above 0"):
        Guidance(pass_temperature=0.0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("sharp", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("size", [20, 200, 2000])
def test_a_nucleus_is_the_smallest_sufficient_set(share, sharp, size):
    """However many ids it takes: some, hundreds, or all."""
    logits = sharp * torch.randn(4, size, generator=torch.Generator().manual_seed(3))
    ids, probability = nucleus(logits, share)
    assert torch.equal(ids, ids.sort(dim=-1).values)
    for row in range(4):
        ranked = sorted(logits[row].double().softmax(-1).tolist(), reverse=True)
        enough = (n for n, total in enumerate(accumulate(ranked), 1) if total >= share)
        needed = next(enough, size) if share < 1 else size
        assert (probability[row] > 0).sum() == needed
        torch.testing.assert_close(
            probability[row], logits[row].double().softmax(-1)[ids[row]] * (probability[row] > 0),
            atol=1e-6, rtol=1e-5,
        )  # fmt: skip


def test_what_is_not_in_the_nucleus_is_never_drawn():
    logits = torch.randn(1, 300, generator=torch.Generator().manual_seed(5)).expand(5_000, -1)
    drawn = set(draw(logits, Sampling(top_p=0.5), uniforms(3, 5_000, 1)[:, 0]).tolist())
    ids, probability = nucleus(logits[:1], 0.5)
    assert drawn == set(ids[probability > 0].tolist())


def test_top_k_keeps_k():
    assert keep_top_k(CONDITIONAL, 5).isfinite().sum(-1).tolist() == [5] * 4
    torch.testing.assert_close(keep_top_k(CONDITIONAL, 0), CONDITIONAL)


def test_draws_follow_the_distribution():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]])).expand(20_000, -1)
    throws = uniforms(1, 20_000, 1)[:, 0]
    share = draw(logits, Sampling(top_p=1.0), throws).bincount(minlength=3) / 20_000
    torch.testing.assert_close(share, torch.tensor([0.5, 0.3, 0.2]), atol=0.015, rtol=0)


def test_temperature_sharpens():
    logits = torch.log(torch.tensor([[0.6, 0.4]])).expand(5_000, -1)
    throws = uniforms(2, 5_000, 1)[:, 0]
    cold = (draw(logits, Sampling(temperature=0.5, top_p=1.0), throws) == 0).float().mean()
    assert cold.item() == pytest.approx(0.36 / (0.36 + 0.16), abs=0.02)


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}, {"cd_k": 0}]
)
def test_senseless_sampling_is_refused(wrong):
    with pytest.raises(ConfigError):
        Sampling(**wrong)


def test_candidates_are_ordered_best_first_and_ties_as_they_came():
    assert best_first([0.1, 0.9, 0.5, 0.9]) == [1, 3, 2, 0]
    assert best_first([text_score([-2.0, -2.0]), text_score([-1.0]), text_score([])]) == [1, 0, 2]
