"""The checks of notebook 11: one letter passes, each other has its own hint, and nothing that is broken counts as fixed."""

import re
from collections import OrderedDict
from pathlib import Path

import nbformat
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD
from torch.utils.data import Subset, random_split

from labutils.course.bug_clinic import Pictures, train
from labutils.course.exercises import bug_clinic as check
from labutils.course.exercises import bug_clinic_fixes
from labutils.course.exercises.bug_clinic_cases import CASES

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
LETTERS = "ABCDE"
NONSENSE = [
    "?",
    "",
    "AB",
    -1,
    0.0,
    [],
    {},
    set(),
    object(),
    float("nan"),
    float("inf"),
    (1, "a"),
    b"C",
    [float("inf")] * 2,
]


def every_check():
    net = small_network()
    for name in check.__all__:
        one = getattr(check, name)
        more = (net,) if name == "fix_1" else ()
        yield name, lambda answer, one=one, more=more: one(answer, *more)


def small_network(seed: int = 0) -> nn.Sequential:
    """Names as in the page, with weights that fit on a stamp."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = {
            "stem": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU()),
            "layer4": nn.Sequential(nn.Conv2d(4, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(1)),
            "head": nn.Sequential(OrderedDict(dropout=nn.Dropout(0.0), linear=nn.Linear(4, 2))),
        }
        net = nn.Sequential(OrderedDict(parts))
    net.stem.requires_grad_(False)
    return net


@pytest.fixture(autouse=True)
def small_material(monkeypatch):
    monkeypatch.setattr(check, "plain_network", lambda classes: small_network())
    x, y = pool()
    known = dict(zip(map(bug_clinic_fixes._bytes, x), y.tolist(), strict=True))
    monkeypatch.setattr(bug_clinic_fixes, "_pool", lambda: known)


def pool() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(200, 3, 64, 64, generator=generator), torch.arange(200) % 2


# -- the twelve cases


@pytest.mark.parametrize("number", CASES)
@pytest.mark.parametrize("letter", LETTERS)
def test_one_letter_passes_and_each_other_has_a_hint_of_its_own(number, letter, printed):
    case = CASES[number]
    getattr(check, f"case_{number}")(f" {letter.lower()} ")
    said = printed()
    if letter == case.right:
        assert said == f"Right. {case.why}"
    else:
        assert said == f"Not yet. {case.against[letter]}"


@pytest.mark.parametrize("number", CASES)
def test_cases_are_whole(number):
    case = CASES[number]
    assert "".join(case.letters) == LETTERS and case.right not in case.against
    hints = list(case.against.values())
    assert len(set(hints)) == len(hints) == 4 and min(map(len, hints)) > 60


def test_right_letters_follow_no_pattern():
    rights = [case.right for case in CASES.values()]
    assert max(map(rights.count, LETTERS)) <= 3 and set(rights) == set(LETTERS)


@pytest.mark.parametrize("answer", [..., None])
def test_unanswered(answer, printed):
    for name, one in every_check():
        one(answer)
        assert printed().startswith("Not answered yet"), name


@pytest.mark.parametrize("answer", NONSENSE)
def test_nonsense_never_passes_and_breaks_nothing(answer, printed):
    for name, one in every_check():
        one(answer)
        said = printed()
        assert said.startswith("Not yet. ") and len(said) > 30, name


# -- fixed cases


def moves(net: nn.Sequential, optimizer) -> set[str]:
    """Groups whose weights all move in some steps."""
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.eval()
    train(net, torch.rand(16, 3, 16, 16), torch.arange(16) % 2, optimizer, epochs=2)
    groups = {name.split(".")[0]: set() for name, _ in net.named_parameters()}
    for name, now in net.named_parameters():
        groups[name.split(".")[0]].add(torch.equal(before[name], now))
    return {name for name, stood_still in groups.items() if stood_still == {False}}


def test_fix_1_passes_what_moves_both_groups_and_nothing_else(printed):
    net, other = small_network(), small_network(1)
    late = [*net.layer4.parameters(), *net.head.parameters()]
    rates = [{"params": net.layer4.parameters(), "lr": 0.0}, {"params": net.head.parameters()}]
    offered = {
        "Right.": SGD([weight for weight in net.parameters() if weight.requires_grad], lr=0.1),
        "Right. ": SGD(net.parameters(), lr=0.1),  # the frozen ones have no gradient
        "not all of layer4": SGD(net.head.parameters(), lr=0.1),
        "not all": SGD([*net.head.parameters(), net.layer4[0].bias], lr=0.1),
        "the head is left out": SGD(net.layer4.parameters(), lr=0.1),
        "rate of 0": SGD(rates, lr=0.1),
        "of another network": SGD(other.parameters(), lr=0.1),
        "not those of this": SGD([*late, *other.parameters()], lr=0.1),
        "optimizer itself": late,
    }
    for hint, optimizer in offered.items():
        check.fix_1(optimizer, net)
        said = printed()
        assert hint in said, (hint, said)
        if isinstance(optimizer, SGD):
            fixed = moves(net, optimizer) == {"layer4", "head"}
            assert said.startswith("Right. ") == (fixed and "not those" not in hint), hint


def test_fix_1_wants_weights_that_ask_for_a_gradient(printed):
    net = small_network()
    net.layer4.requires_grad_(False)
    check.fix_1(SGD(net.parameters(), lr=0.1), net)
    assert printed().startswith("Not yet. ") and "layer4" not in moves(net, SGD(net.parameters(), lr=0.1))


@pytest.mark.parametrize(
    "layer4, head, hint",
    [
        (1e-4, 1e-2, "Right. "),
        (5e-4, 1e-2, "Right. "),
        (1e-3, 1e-2, "5e-4 at most"),  # measured: with one of three subsets no better than a guess
        (1e-2, 1e-4, "still has the higher rate"),
        (1e-2, 5e-2, "5e-4 at most"),
        (5e-4, 1e-3, "Nearly one rate"),
        (1e-8, 1e-2, "as well be frozen"),
        (1e-5, 1e-4, "hundreds of epochs"),
        (1e-4, 1.0, "throw the head about"),
        (-1e-4, 1e-2, "two rates above 0"),
        (float("nan"), 1e-2, "two rates above 0"),
    ],
)
def test_fix_4(layer4, head, hint, printed):
    check.fix_4({"layer4": layer4, "head": head})
    assert hint in printed()


def test_fix_4_wants_both_groups(printed):
    for rates in ({"head": 1e-2}, {"layer4": 1e-4, "head": 1e-2, "stem": 1e-5}):
        check.fix_4(rates)
        assert "one for the head" in printed()


def noisy(image):
    return image - 0.5 + torch.rand(())


def test_fix_7(printed):
    x, y = pool()
    varied, fixed = Pictures(x, y, noisy), Pictures(x, y, lambda image: image - 0.5)
    first, second = torch.arange(100), torch.arange(100, 200)
    broken = random_split(varied, [100, 100])
    wrong_labels = Pictures(x, y.roll(1), lambda image: image - 0.5)
    offered = [
        ("Right. ", (Subset(varied, first), Subset(fixed, second))),
        ("Right. ", (Pictures(x[:90], y[:90], noisy), Pictures(x[90:], y[90:], lambda image: image - 0.5))),
        ("random transform is still in it", broken),
        (
            "two different divisions",
            (random_split(varied, [100, 100])[0], random_split(fixed, [100, 100])[1]),
        ),
        ("two are swapped", (Subset(fixed, first), Subset(varied, second))),
        ("stands still as well", (Subset(fixed, first), Subset(fixed, second))),
        ("not normalised", (Subset(varied, first), Subset(Pictures(x, y), second))),
        ("label of another", (Subset(varied, first), Subset(wrong_labels, second))),
        ("about 100", (Subset(varied, first), Subset(fixed, second[:9]))),
        ("about 100", (Subset(varied, first), Subset(Pictures(x.flip(-1), y, noisy), second))),
        ("each made from Pictures", (x[:100], x[100:])),
        (
            "each made from Pictures",
            (Subset(varied, first), Subset(Pictures(x, y, lambda image: image.no_such_thing), second)),
        ),
    ]
    for hint, parts in offered:
        check.fix_7(parts)
        said = printed()
        assert hint in said, (hint, said)


def test_fix_8(printed):
    pictures_, copies = torch.randperm(200), 200 * torch.arange(4)
    fixed = tuple((half[:, None] + copies).flatten() for half in pictures_.split(100))
    rows = torch.arange(800)
    offered = [
        ("Right. ", fixed),
        ("Right. ", tuple(part.tolist() for part in fixed)),
        ("on both sides", torch.randperm(800).split(400)),  # the broken one
        ("on both sides", (rows[:600], rows[600:])),  # versions divided, not pictures
        ("rows are not used", (pictures_[:100], pictures_[100:])),
        ("appear twice", (fixed[0].repeat(2), fixed[1])),
        ("go from 0 to 799", (rows[:400] + 800, rows[:400])),
        ("at least 80 rows", (rows, rows[:0])),
        ("at least 80 rows", (fixed[0] + 0.5, fixed[1])),  # half rows are no rows
        ("a pair", rows),
    ]
    for hint, parts in offered:
        check.fix_8(parts)
        said = printed()
        assert hint in said, (hint, said)


@pytest.mark.parametrize(
    "factors, hint",
    [
        ([0.32, 0.32, 0.32, 0.04], "Right. "),
        ([0.25] * 4, "eight times"),
        ([1 / 32, 1 / 32, 1 / 32, 1 / 4], "already divided"),
        ([32, 32, 32, 4], "proportions are right"),
        ([0.01] * 4, "weight of one picture"),
        ([1, 1, 1, 1], "change nothing"),
        ([0.32, 0.32, 0.32], "Four parts"),
        ([0.04, 0.32, 0.32, 0.32], "add up to 1"),
    ],
)
def test_fix_9_passes_what_gives_the_gradient_of_the_whole_batch(factors, hint, printed):
    check.fix_9(factors)
    said = printed()
    assert hint in said
    torch.manual_seed(0)
    head, x, y = nn.Linear(5, 2), torch.randn(100, 5), torch.randint(2, (100,))
    cross_entropy(head(x), y).backward()
    whole = head.weight.grad.clone()
    head.zero_grad()
    for part, factor in zip(torch.arange(100).split(32), factors, strict=False):
        (cross_entropy(head(x[part]), y[part]) * factor).backward()
    assert torch.allclose(head.weight.grad, whole, atol=1e-5) == said.startswith("Right. ")


# -- the three exercises


@pytest.mark.parametrize(
    "lines, hint",
    [
        ({"B", "F"}, "Right. "),
        (["f", "b"], "Right. "),
        ("BF", "Right. "),
        ({"B"}, "makes the *test* figure"),
        ({"F"}, "makes the *validation* figure"),
        ({"B", "F", "G"}, "Both are among them"),
        ({"B", "G"}, "Line G"),
        ({"A", "F"}, "Line A"),
        ({"B", "E"}, "Line E"),
        ({"C", "D"}, "Line C"),
        ({"D", "B"}, "Line D"),
        ({"H", "F"}, "Line H"),
        ({"B", "Z"}, "a set of two letters"),
        ({2, 6}, "a set of two letters"),
    ],
)
def test_two_faulty_lines(lines, hint, printed):
    check.two_faulty_lines(lines)
    assert hint in printed()


def learned(net: nn.Sequential, weights=None, *, drift: bool = False) -> nn.Sequential:
    net.train()
    if not drift:
        net[:-2].eval()
    weights = [*net.layer4.parameters(), *net.head.parameters()] if weights is None else list(weights)
    torch.manual_seed(0)
    train(net, torch.rand(16, 3, 16, 16), torch.arange(16) % 2, SGD(weights, lr=0.1), epochs=2)
    return net


def test_fixed_network(printed):
    thawed, broken, partly, spoiled = (small_network() for _ in range(4))
    thawed.stem.requires_grad_(True)
    with torch.no_grad():
        spoiled.head.linear.weight.fill_(float("nan"))
    other_head = small_network()
    other_head.head.linear = nn.Linear(4, 3)
    offered = [
        ("Right. ", learned(small_network())),
        ("run the training", small_network()),
        ("layer4 stands still", learned(broken, broken.head.parameters(), drift=True)),  # as in the page
        ("buffers before it have drifted", learned(small_network(), drift=True)),
        ("weights before layer4 have moved", learned(thawed, thawed.parameters())),
        ("the head was left out", learned(net := small_network(), net.layer4.parameters())),
        ("Only 1 of 2 weights", learned(partly, [partly.layer4[0].weight, *partly.head.parameters()])),
        ("no numbers", spoiled),
        ("another head", other_head),
        ("the trained network itself", nn.Linear(2, 2)),
    ]
    for hint, answer in offered:
        check.fixed_network(answer)
        said = printed()
        assert hint in said, (hint, said)


def loss(mode="eval", normalised=True, weigh=lambda part: len(part) / 100):
    """The hard case Z as it should be, or with one of its faults left in."""

    def answer(net, raw, labels):
        getattr(net, mode)()
        x = (raw - 0.5) / 0.5 if normalised else raw
        with torch.no_grad():
            parts = zip(x.split(32), labels.split(32), strict=True)
            return sum(cross_entropy(net(part), y).item() * weigh(y) for part, y in parts)

    return answer


def share_of_right(net, raw, labels):
    return (net.eval()((raw - 0.5) / 0.5).argmax(1) == labels).float().mean()


@pytest.mark.parametrize(
    "answer, hint",
    [
        (loss(), "Right. "),
        (lambda net, raw, labels: cross_entropy(net.eval()(2 * raw - 1), labels), "Right. "),
        (lambda net, raw, labels: ..., "Not answered yet"),
        (loss(mode="train", normalised=False, weigh=lambda part: 1 / 4), "it ran in training mode"),
        (loss(mode="train"), "it ran in training mode"),
        (loss(weigh=lambda part: 1 / 4), "the last part has four pictures"),
        (loss(normalised=False), "pixels are still from 0 to 1"),
        (loss(normalised=False, weigh=lambda part: 1 / 4), "pixels are still from 0 to 1"),
        (loss(weigh=len), "the sum over the pictures"),
        (share_of_right, "That is the accuracy"),
        (lambda net, raw, labels: 3.0, "it gives 3.000"),
        (lambda net, raw, labels: None, "cannot be used as asked"),
    ],
)
def test_honest_loss(answer, hint, printed):
    check.honest_loss(answer)
    assert hint in printed()


# -- page and twin


def sections(path: Path) -> dict[int, list]:
    """The cells of each case, by its number."""
    found, number = {}, None
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown" and re.search(r"^## ", cell.source, re.M):
            heading = re.search(r"^## Case (\d+) · ", cell.source, re.M)
            number = int(heading.group(1)) if heading else None
        if number:
            found.setdefault(number, []).append(cell)
    return found


def outputs(cells: list) -> str:
    return "".join(o.get("text", "") for cell in cells if cell.cell_type == "code" for o in cell.outputs)


def last_lines(cells: list) -> list[str]:
    last = [cell.source.splitlines()[-1] for cell in cells if cell.cell_type == "code"]
    return [line for line in last if line.startswith("check.")]


def test_each_case_shows_a_symptom_in_the_page_and_its_cure_in_the_twin():
    page, twin = (sections(FOLDER / folder / "11_bug_clinic.ipynb") for folder in ("", "solutions"))
    assert list(page) == list(twin) == list(CASES)
    for number in CASES:
        broken, fixed = outputs(page[number]), outputs(twin[number])
        assert re.search(r": True$", broken, re.M), number
        assert re.search(r"^fixed: .*: True$", fixed, re.M), number
        lines = last_lines(page[number])
        assert lines[0] == f"check.case_{number}(answer_{number})" and lines == last_lines(twin[number])
        assert broken.count("Not answered yet") == fixed.count("Right. ") == len(lines)
        assert "Right. " not in broken and "Not " not in fixed
        texts = "\n".join(cell.source for cell in page[number] if cell.cell_type == "markdown")
        assert re.findall(r"^- \*\*(\w)\*\*: ", texts, re.M) == list(CASES[number].letters)
        assert "**Predict.**" in texts
