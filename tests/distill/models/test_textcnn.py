"""The network: what a feature is, and that its compiled search for the best window is the plain convolution."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.models.architecture import Architecture, Dropout
from distill.models.textcnn import TextCNN, best_windows, best_windows_by_tensors, take
from distill.text.vocabulary import Ids

NO_DROPOUT = Dropout(0, 0, 0, part=False)
WIDTHS = (1, 2, 4)


def ragged(texts: list[list[int]]) -> Ids:
    flat = np.array([i for text in texts for i in text], np.int32)
    return Ids(flat, np.cumsum([0, *map(len, texts)]))


def network(seed: int = 0, dropout: Dropout = NO_DROPOUT) -> TextCNN:
    torch.manual_seed(seed)
    return TextCNN(Architecture({"word": 12}, {"word": WIDTHS}, 6, 5), dropout)


def plain_features(student: TextCNN, text: list[int]) -> torch.Tensor:
    """One text the textbook way: embed, convolve, take the maximum, and the scaled sum."""
    table = student.embeddings["word"].weight
    features = []
    for width in WIDTHS:
        x = table[torch.tensor(text + [0] * (width - len(text)))]
        kernel = student.taps[f"word_{width}"].permute(1, 2, 0)  # (filters, embedding, width)
        convolved = torch.nn.functional.conv1d(x.T[None], kernel, student.biases[f"word_{width}"])
        features.append(torch.relu(convolved[0].amax(dim=1)))
    features.append(table[torch.tensor(text)].sum(0) / len(text) ** 0.5)
    return torch.cat(features)


texts_of_ids = st.lists(st.lists(st.integers(1, 11), min_size=1, max_size=9), min_size=1, max_size=5)


@settings(deadline=None, max_examples=50)
@given(texts_of_ids, st.integers(0, 9))
def test_features_and_gradients_are_those_of_a_plain_convolution(texts: list[list[int]], seed: int) -> None:
    student = network(seed)
    batch = {"word": take(ragged(texts), torch.arange(len(texts)), max(WIDTHS))}
    plain = torch.stack([plain_features(student, text) for text in texts])
    ours = student.features(batch)
    torch.testing.assert_close(ours, plain)
    # Any weighting of the features must pull on the weights alike.
    pull = torch.randn(plain.shape, generator=torch.Generator().manual_seed(seed))
    weights = [student.embeddings["word"].weight, *student.taps.values(), *student.biases.values()]
    expected = torch.autograd.grad((plain * pull).sum(), weights)
    for ours_g, plain_g in zip(torch.autograd.grad((ours * pull).sum(), weights), expected, strict=True):
        ours_g, plain_g = ours_g.clone(), plain_g.clone()
        if ours_g.shape[0] == 12:
            ours_g[0] = plain_g[0] = 0  # the padding row learns nothing here
        torch.testing.assert_close(ours_g, plain_g, atol=1e-5, rtol=1e-4)


def test_rows_are_taken_in_any_order_and_do_not_touch() -> None:
    texts = [[1, 2, 3, 4, 5], [6], [7, 8]]
    ids = ragged(texts)
    student = network()
    whole = student.features({"word": take(ids, torch.arange(3), 4)})
    turned = student.features({"word": take(ids, torch.tensor([2, 0, 1, 2]), 4)})
    torch.testing.assert_close(turned, whole[[2, 0, 1, 2]])


def test_the_search_for_a_gpu_finds_the_same_windows() -> None:
    generator = torch.Generator().manual_seed(1)
    products = torch.randn(2, 7, 5, generator=generator)
    places = torch.randint(0, 7, (11,), generator=generator)
    starts, windows = torch.tensor([0, 4, 9]), torch.tensor([3, 4, 1])
    compiled = best_windows(products, places, starts, windows)
    assert torch.equal(best_windows_by_tensors(products, places, starts, windows), compiled)


def test_the_wide_part_adds_the_scaled_sum_of_its_weights() -> None:
    """Half of it to the logit of a complaint, minus half to that of junk, and its gradient is that of the sum."""
    torch.manual_seed(0)
    student = TextCNN(Architecture({"word": 12}, {"word": WIDTHS}, 6, 5, {"trigram": 9}), NO_DROPOUT)
    assert not student.wide["trigram"].weight.any(), "it begins with nothing, so the deep part learns first"
    words, grams = ragged([[1, 2, 3, 4, 5], [6]]), [[2, 4, 4, 2], [2, 2]]
    batch = {"word": take(words, torch.arange(2), 4), "trigram": take(ragged(grams), torch.arange(2), 1)}
    deep = student(batch)
    weights = torch.arange(9.0) / 8
    student.wide["trigram"].weight.data[:, 0] = weights
    sums = torch.stack([weights[torch.tensor(ids)].sum() / len(ids) ** 0.5 for ids in grams])
    logits = student(batch)
    torch.testing.assert_close(logits, deep + torch.stack([-sums / 2, sums / 2], 1))
    (logits[:, 1] - logits[:, 0]).sum().backward()
    gradient = student.wide["trigram"].weight.grad
    assert gradient is not None
    expected = torch.zeros(9)
    expected[2], expected[4] = 2 / 4**0.5 + 2 / 2**0.5, 2 / 4**0.5
    torch.testing.assert_close(gradient[:, 0], expected)


def test_dropout_acts_in_training_only() -> None:
    student = network(dropout=Dropout(0.5, 0.5, 0.5))
    batch = {"word": take(ragged([[1, 2, 3, 4, 5, 6]]), torch.arange(1), 4)}
    student.train()
    assert not torch.equal(student(batch), student(batch))
    student.eval()
    assert torch.equal(student(batch), student(batch))
