import numpy as np
import pytest
import torch
import torch.nn.functional as F

from racm3.errors import CheckpointError, ConfigError
from racm3.tokens.image import ImageTokenizer, to_images, to_pixels
from racm3.tokens.vqgan.config import VQGANConfig
from racm3.tokens.vqgan.model import VQGAN
from racm3.tokens.vqgan.quantizer import Codebook, MovingAverages
from racm3.training.loop import LoopConfig, train
from racm3.training.vqgan import (
    MARGIN,
    PictureBatch,
    TokenizerLearner,
    TokenizerTraining,
    contrast_loss,
    decibel_loss,
)
from tests.conftest import TINY_VQGAN, picture


def test_pixels_and_back_is_the_same_picture():
    pictures = [picture(i) for i in range(3)]
    assert to_images(to_pixels(pictures)) == pictures


def test_the_nearest_code_is_the_one_of_largest_cosine():
    book, features = Codebook(20, 4), torch.randn(2, 4, 3, 5)
    found = book(features).codes
    for b in range(2):
        for r in range(3):
            for c in range(5):
                cosine = F.cosine_similarity(features[b, :, r, c][None], book.vectors)
                assert found[b, r, c] == cosine.argmax()


def test_the_gradient_passes_the_codebook_straight_through():
    book = Codebook(20, 4)
    features = F.normalize(torch.randn(1, 4, 2, 2), dim=1).requires_grad_()
    wanted = torch.randn(1, 4, 2, 2)
    (book(features).vectors * wanted).sum().backward()
    # Along the sphere only: the part of the gradient that changes the direction.
    radial = (wanted * features).sum(1, keepdim=True) * features
    torch.testing.assert_close(features.grad, (wanted - radial).detach())


def test_codes_drift_to_the_mean_of_their_members_and_dead_ones_are_reborn():
    book = Codebook(4, 2)
    book.vectors.copy_(F.normalize(torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]]), dim=-1))
    averages = MovingAverages(book, decay=0.5, dead_below=0.3)
    features = torch.tensor([[1.0, 0.4], [1.0, 0.6]]).T.reshape(1, 2, 1, 2)
    for _ in range(6):
        codes = book(features).codes
        averages.update(book, features, codes, torch.Generator().manual_seed(0))
    mean = F.normalize(F.normalize(features[0, :, 0].T, dim=-1).mean(0), dim=0)
    members = F.normalize(features[0, :, 0].T, dim=-1)
    assert (book.vectors @ members.T).max(1).values.min() > 0.9, "the dead were not reborn"
    assert (book.vectors @ mean).max() > 0.99


@pytest.mark.parametrize("side", [16, 24])
def test_every_picture_becomes_exactly_one_grid(side):
    config = VQGANConfig(side=side, patch=2, widths=(8, 16), codes=32, code_width=4)
    tokenizer = ImageTokenizer(VQGAN(config))
    codes = tokenizer.encode([picture(0, 40, 60), picture(1, side, side)])
    assert codes.shape == (2, len(tokenizer.grid)) == (2, (side // 4) ** 2)
    assert 0 <= codes.min() <= codes.max() < 32
    decoded = tokenizer.decode(codes)
    assert [(p.height, p.width) for p in decoded] == [(side, side)] * 2
    assert tokenizer.encode([]).shape == (0, len(tokenizer.grid))


@pytest.mark.parametrize("local", [True, False])
def test_a_local_encoder_reads_every_cell_by_itself(local):
    torch.manual_seed(0)
    config = VQGANConfig(
        side=32, patch=2, widths=(8, 16), encoder_blocks=1, decoder_blocks=1, codes=64,
        code_width=4, local=local,
    )  # fmt: skip
    encoder, pixels = VQGAN(config), to_pixels([picture(0, 32, 32)])
    changed = pixels.clone()
    changed[..., 4:8, 8:12] = 0
    features = [encoder.features(p) for p in (pixels, changed)]
    differs = (features[0] != features[1]).any(dim=1)[0]
    assert differs[1, 2]
    assert (differs.sum() == 1) == local


def test_the_papers_tokenizer_makes_1024_codes():
    config = VQGANConfig(side=256, patch=1, widths=(64, 128, 256, 256), codes=8192)
    assert (config.downsampling, config.cells**2) == (8, 1024)


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="do not divide into cells of 8"):
        VQGANConfig(side=60)


def test_saving_and_opening_changes_no_code(tmp_path):
    tokenizer = ImageTokenizer(VQGAN(TINY_VQGAN))
    tokenizer.save(tmp_path)
    pictures = [picture(i) for i in range(3)]
    opened = ImageTokenizer.open(tmp_path)
    np.testing.assert_array_equal(opened.encode(pictures), tokenizer.encode(pictures))
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="cannot be opened as safetensors"):
        ImageTokenizer.open(tmp_path)


def test_half_precision_changes_no_code_either(tmp_path):
    """Two codes nearly alike: half precision would toss a coin between them."""
    torch.manual_seed(0)
    tokenizer = ImageTokenizer(VQGAN(TINY_VQGAN))
    vectors = tokenizer.vqgan.codebook.vectors
    half = len(vectors) // 2
    vectors[half:] = F.normalize(vectors[:half] + 1e-4 * torch.randn_like(vectors[:half]), dim=-1)
    pictures = [picture(i) for i in range(8)]
    tokenizer.save(tmp_path, dtype=torch.float16)
    opened = ImageTokenizer.open(tmp_path)
    assert (opened.encode(pictures) == tokenizer.encode(pictures)).all()
    rounded = {k: v.half().float() for k, v in tokenizer.vqgan.state_dict().items()}
    codes = tokenizer.encode(pictures)
    tokenizer.vqgan.load_state_dict(rounded)
    assert (tokenizer.encode(pictures) != codes).any(), "nothing was at stake"


def test_learning_brings_reconstructions_nearer_and_resumes_to_the_same_bytes(tmp_path):
    pictures = to_pixels([picture(i) for i in range(4)]).round()

    def learner() -> TokenizerLearner:
        torch.manual_seed(0)
        config = TokenizerTraining(
            steps=24, warmup=2, lr=3e-3, adversarial=0.05, adversarial_from=8
        )
        device = torch.device("cpu")
        return TokenizerLearner(
            VQGAN(TINY_VQGAN), config, lambda _: PictureBatch(pictures), pictures, device
        )

    before = learner().validate()["psnr"]
    loop = LoopConfig(steps=24, save_every=10)
    whole = learner()
    train(whole, loop, tmp_path / "a")
    assert whole.validate()["psnr"] > before + 1
    train(learner(), LoopConfig(steps=10, save_every=10), tmp_path / "b")
    (tmp_path / "b" / "final").rename(tmp_path / "early")
    train(learner(), loop, tmp_path / "b")
    a, b = ((tmp_path / n / "final" / "model.safetensors").read_bytes() for n in "ab")
    assert a == b


def test_the_decibel_loss_is_psnr_of_pixels_and_of_halved_pictures():
    real = to_pixels([picture(i) for i in range(3)])
    made = (real + 0.3 * to_pixels([picture(i) for i in range(3, 6)])).clamp(-1, 1)

    def decibels(a: torch.Tensor, b: torch.Tensor) -> float:
        errors = [(x - y).square().mean().item() for x, y in zip(a, b, strict=True)]
        return float(np.mean(-10 * np.log10(errors)))

    def halved(x: torch.Tensor) -> torch.Tensor:
        return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4

    expected = 0.7 * decibels(made, real) + 0.3 * decibels(halved(made), halved(real))
    loss = decibel_loss(made, real).item()
    assert -10 / np.log(10) * loss == pytest.approx(expected, abs=0.1)
    # Half the error everywhere is 6 dB, for a good picture as for a bad one.
    nearer = decibel_loss((made + real) / 2, real).item()
    assert 10 / np.log(10) * (loss - nearer) == pytest.approx(6.02, abs=0.2)


def test_the_contrast_loss_is_where_on_the_line_between_two_pictures_a_third_one_stands():
    real, rival, aside = (to_pixels([picture(i)]) for i in range(3))

    def loss(made: torch.Tensor, *rivals: torch.Tensor) -> float:
        return contrast_loss(made, real, torch.stack(rivals, dim=1)).item()

    assert loss(real, rival) == 0
    for share in (1, 0.75, 0.5, 0.25):
        # What is so near to the rival falls short of the margin by so much.
        made = share * rival + (1 - share) * real
        assert loss(made, rival) == pytest.approx(MARGIN + share - 0.5, abs=1e-4)
        assert loss(made, rival, real) == pytest.approx(loss(made, rival), abs=1e-6)
        assert loss(made, rival, aside) == pytest.approx(
            (loss(made, rival) + loss(made, aside)) / 2
        )
    # Off the line nothing counts: neither what a mean over 2 x 2 hides nor what both lack alike.
    hidden = real.clone()
    hidden[..., ::2, ::2] += 0.5
    hidden[..., 1::2, 1::2] -= 0.5
    assert loss(hidden, rival) == pytest.approx(0, abs=1e-6)
    assert loss(real, real) == 0, "a rival that is the picture counts nothing"


def test_contrast_without_rivals_is_refused():
    pictures = to_pixels([picture(i) for i in range(2)])
    config = TokenizerTraining(steps=2, contrast=1.0)
    place = torch.device("cpu")
    learner = TokenizerLearner(
        VQGAN(TINY_VQGAN), config, lambda _: PictureBatch(pictures), pictures, place
    )
    with pytest.raises(ConfigError, match="come with none"):
        learner.learn_from(0)


def test_a_decoder_learns_to_tell_a_picture_from_its_rival():
    """The rival is what the decoder would rather paint: it has learnt nothing but that."""
    torch.manual_seed(0)
    real = to_pixels([picture(i) for i in range(4)])
    rivals = real.roll(1, dims=0).lerp(real, 0.8)[:, None]
    told = {}
    for weight in (0.0, 8.0):
        torch.manual_seed(1)
        config = TokenizerTraining(steps=40, warmup=2, lr=3e-3, contrast=weight, decoder_only=True)
        vqgan = VQGAN(TINY_VQGAN)
        learner = TokenizerLearner(
            vqgan, config, lambda _: PictureBatch(real, rivals), real, torch.device("cpu")
        )
        for step in range(40):
            learner.learn_from(step)
        with torch.inference_mode():
            made = vqgan.decode(vqgan.encode(real))
        told[weight] = contrast_loss(made, real, rivals).item()
    assert told[8.0] < 0.7 * told[0.0]
