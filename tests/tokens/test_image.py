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
from racm3.training.vqgan import TokenizerLearner, TokenizerTraining, decibel_loss
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
        return TokenizerLearner(VQGAN(TINY_VQGAN), config, lambda _: pictures, pictures, device)

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
