"""The checks of notebook 01: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import pytest
import torch

from labutils import build_feature_extractor, load
from labutils.analysis.features import group_features
from labutils.course.exercises import theory as check

NAMES = ("sizes_a_field", "partly_trained", "unseen_by_cka")


@pytest.fixture(scope="module")
def features():
    textures = load("textures", image_size=64)
    return group_features(build_feature_extractor(), textures.images[textures.validation])["layer4"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer, begins",
    [
        (..., "Not answered yet"),
        (None, "Not answered yet"),
        *[
            (nonsense, "Not yet. ")
            for nonsense in ("?", [], {}, -1, 0.5, float("nan"), float("inf"), 10**400, torch.zeros(3, 4))
        ],
    ],
)
def test_open_and_nonsense(name, answer, begins, printed):
    getattr(check, name)(answer)
    assert printed().startswith(begins)


def field(start=1, add=lambda kernel: kernel - 1, jumps="before", order=1):
    def answer(layers):
        size, jump = start, 1
        for kernel, stride in layers[::order]:
            if jumps == "own":
                jump *= stride
            size += add(kernel) * (1 if jumps == "none" else jump)
            if jumps == "before":
                jump *= stride
        return size

    return answer


@pytest.mark.parametrize(
    "answer, part",
    [
        (field(), "Right. Each layer adds"),
        (lambda layers: ..., "Not answered yet"),
        (field(start=0), "without a layer a unit sees 1"),
        (field(jumps="none"), "Strides play no part"),
        (field(jumps="own"), "own stride does not widen"),
        (field(start=0, add=lambda kernel: kernel, jumps="none"), "size less one"),
        (field(order=-1), "Begin at the picture"),
        (
            lambda layers: 7,
            "For 3 × 3 with stride 1 it gives 7 pixels; the gradient of such a network reaches 3",
        ),
        (lambda layers: 3, "3 × 3 with stride 2 then 5 × 5 with stride 1 then"),
        (lambda layers: "seven", "cannot be used as asked"),
    ],
)
def test_sizes_a_field(answer, part, printed):
    check.sizes_a_field(answer)
    assert part in printed()


LAYER4, HEAD = 2_670_240, 1280 * 10 + 10


@pytest.mark.parametrize(
    "answer, part",
    [
        (LAYER4 + HEAD, "Right. "),
        (LAYER4 + 1280 * 12 + 12, "twelve textures"),
        (HEAD, "head alone"),
        (LAYER4, "The head is trained as well"),
        (LAYER4 + HEAD + 645_264, "the head is one of them"),
        (3_371_008 + HEAD, "full fine-tuning"),
        (17, "requires_grad"),
    ],
)
def test_partly_trained(answer, part, printed):
    check.partly_trained(answer)
    assert part in printed()


@pytest.mark.parametrize(
    "change, part",
    [
        (lambda f: f.flip(1), "Right. "),
        (lambda f: 3 * f, "Right. "),
        (lambda f: torch.cat([f, f], 1), "Right. "),
        (lambda f: f, "old numbers"),
        (lambda f: f + 1e-4, "old numbers"),
        (lambda f: f.flip(0), "shuffle the columns instead"),
        (lambda f: f.T, "One row for each of the 240"),
        (lambda f: f.tolist(), "Give a tensor"),
        (lambda f: f + 3 * f.std() * torch.randn(f.shape), "CKA saw this change"),
        (lambda f: f * torch.linspace(-2, 2, f.shape[1]) ** 8, "CKA saw this change"),
        (lambda f: f * float("nan"), "CKA saw this change"),
    ],
)
def test_unseen_by_cka(features, change, part, printed):
    check.unseen_by_cka(change(features))
    assert part in printed()
