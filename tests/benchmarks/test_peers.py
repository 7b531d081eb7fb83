"""The benchmark beside other tools, as far as it needs none of them: same start for all, turns, ratios, made-up curves."""

import ast
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY

from benchmarks.peers import report, tasks
from benchmarks.peers.by_lab import range_full, range_head
from benchmarks.peers.comparison import compare
from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.curves import (
    LAB_DEFAULT,
    Curve,
    curves,
    falling,
    good_rates,
    judge,
    lab_default,
    lab_rule,
)
from benchmarks.peers.rates import best_rates
from benchmarks.peers.tasks import TASKS, Bench, Conditions, Job
from benchmarks.peers.turns import take_turns
from labutils import build_feature_extractor
from labutils.networks.backbones import BACKBONES
from labutils.runtime.files import PROJECT, write_json

PEERS = {"fastai", "lightning", "keras", "torch_lr_finder"}
JOB = Job("head", "lab", 0, 1e-2, Conditions(pictures=12, validation=6, batch_size=4, range_batch_size=4))


def test_the_lab_knows_nothing_of_its_peers():
    for file in (PROJECT / "labutils").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        named |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        assert {name.split(".")[0] for name in named}.isdisjoint(PEERS | {"benchmarks"}), file


@pytest.mark.slow
def test_what_these_tests_import_needs_no_peer():
    modules = ("comparison", "contenders", "curves", "rates", "tasks", "turns", "__main__")
    code = (
        f"import sys; {'; '.join(f'import benchmarks.peers.{name}' for name in modules)}; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert {name.split(".")[0] for name in done.stdout.split()}.isdisjoint(PEERS)


def test_both_sides_have_the_same_torch():
    def pins(file):
        lines = (line.split("#")[0].strip() for line in (PROJECT / file).read_text().splitlines())
        return dict(line.split("==") for line in lines if "==" in line)

    lab, peers = pins("requirements.txt"), pins("benchmarks/peers/requirements.txt")
    assert {name: peers[name] for name in ("torch", "torchvision")}.items() <= lab.items()


@pytest.fixture
def bench(tiny_domain, monkeypatch):
    """Makes benches on tiny pictures with the tiny network in place of EfficientNet-Lite0."""
    monkeypatch.setitem(BACKBONES, tasks.BACKBONE, TINY)
    monkeypatch.setattr(tasks, "load", lambda *_: tiny_domain)
    return Bench


def test_the_network_of_all_others_starts_as_that_of_the_lab(bench, tiny_domain):
    pictures, _ = bench(JOB).loaders["val"].dataset[:]
    ids = bench(JOB).domain.validation
    for seed in (0, 5):
        own = build_feature_extractor(num_classes=3, seed=seed).eval()
        others = bench(replace(JOB, seed=seed)).network().eval()
        assert type(others) is torch.nn.Sequential and all(p.requires_grad for p in others.parameters())
        assert torch.equal(own(own.normalise(tiny_domain.images[ids] / 255)), others(pictures))


def test_rates_are_chosen_on_pictures_that_nothing_else_looks_at(bench, tiny_domain):
    chosen, final = bench(replace(JOB, scored="validation")), bench(JOB)
    used = torch.cat([chosen.domain.train, chosen.domain.validation, tiny_domain.test])
    assert len(chosen.scored) == 3 and not torch.isin(chosen.scored, used).any()
    assert torch.equal(final.scored, tiny_domain.test)


@pytest.mark.parametrize("contender", ["lab", "plain loop", "plain loop, channels-last"])
def test_contenders_train_what_the_task_says(bench, contender):
    moved = {"head": {"head"}, "mixed": {"layer2", "head"}, "full": {"stem", "layer1", "layer2", "head"}}
    for task, groups in moved.items():
        if task not in CONTENDERS[contender]:
            continue
        module, function = CONTENDERS[contender][task].split(".")
        made = bench(replace(JOB, task=task, rate=0.1))
        before = dict(made.network().named_parameters())
        trained = getattr(import_module(f"benchmarks.peers.{module}"), function)(made)
        assert made.seconds > 0 and made.cpu_seconds > 0 and 0 <= made.accuracy(trained) <= 1
        after = [parameter for _, parameter in trained.named_parameters()]
        names = {
            name.split(".")[0]
            for (name, old), new in zip(before.items(), after, strict=True)
            if not torch.equal(old, new)
        }
        assert names == groups, task


def test_the_range_test_of_the_lab_takes_all_its_steps(bench):
    for task in (range_head, range_full):
        assert len(task(bench(replace(JOB, task=task.__name__)))) == tasks.STEPS


def test_every_task_has_rivals_and_every_function_its_module():
    assert all(sum(task in done for done in CONTENDERS.values()) >= 4 for task in TASKS)
    for done in CONTENDERS.values():
        for place in done.values():
            module, function = place.split(".")
            tree = ast.parse((PROJECT / "benchmarks" / "peers" / f"{module}.py").read_text())
            assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_numbers_of_groups_are_those_of_the_network():
    """The peers are not installed here: a number that is none of its groups would stop a benchmark after hours."""
    names = build_feature_extractor().names
    for file in (PROJECT / "benchmarks" / "peers").glob("by_*.py"):
        called = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
        for call in called:
            if getattr(call.func, "id", "") in ("_train", "_model", "_range_test"):
                numbers = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
                assert all(number <= len(names) for number in numbers if isinstance(number, int)), (
                    ast.unparse(call)
                )


def test_an_interrupted_benchmark_goes_on(tmp_path):
    turns, done = [[replace(JOB, seed=seed), replace(JOB, seed=seed, task="full")] for seed in range(4)], []

    def measure(jobs):
        if jobs[0].seed == 2 and len(done) == 2:
            raise KeyboardInterrupt
        done.append(jobs[0].seed)
        return [{"seconds": float(job.seed), "accuracy": 0.5} for job in jobs]

    with pytest.raises(KeyboardInterrupt):
        take_turns(turns, tmp_path, "first", measure)
    done.append("again")
    rows = take_turns(turns, tmp_path, "second", measure)
    assert done == [0, 1, "again", 2, 3]
    assert (
        rows["seconds"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3] and rows["task"].tolist() == ["head", "full"] * 4
    )
    assert rows["commit"].tolist() == ["first"] * 4 + ["second"] * 4
    other = [[replace(job, conditions=replace(job.conditions, threads=2)) for job in jobs] for jobs in turns]
    take_turns(other, tmp_path, "third", measure)
    assert done[-4:] == [0, 1, 2, 3], "measured under other conditions"


def test_ratios_and_leads_by_hand():
    expected = {
        "lab": ([1, 2, 4], [0.9, 0.8, 0.7]),
        "other": ([9, 16, 30], [0.8, 0.7, 0.6]),
        "best": ([2, 2, 2], [1.0, 0.9, 0.8]),
    }
    rows = pd.DataFrame(
        {"task": "head", "contender": name, "seed": seed, "seconds": s, "cpu_seconds": s, "accuracy": a}
        for name, (seconds, accuracies) in expected.items()
        for seed, (s, a) in enumerate(zip(seconds, accuracies, strict=True))
    )
    lab, other, best = compare(rows).to_dict("records")
    assert (other["times_faster"], other["lowest"], other["highest"], other["aim"]) == (8, 7.5, 9, 8)
    assert other["reached"] is True and best["reached"] is False and best["times_faster"] == 1
    assert other["lead"] == pytest.approx(0.1) and best["lead"] == pytest.approx(-0.1)
    assert other["not_worse"] is True and best["not_worse"] is False, "three equal differences leave no doubt"
    assert lab["accuracy"] == pytest.approx(0.8) and np.isnan(lab["times_faster"])
    assert compare(rows[rows["seed"] == 0])["not_worse"].isna().all(), "a single seed tells nothing"
    finder = compare(rows.assign(task="range_head", accuracy=np.nan)).to_dict("records")
    assert finder[1]["times_faster"] == 8 and "lead" not in finder[1]


def test_the_report_tells_every_number_of_its_tables(tmp_path, monkeypatch):
    measured = pd.DataFrame(
        {"task": task, "contender": name, "seed": seed, "seconds": s, "cpu_seconds": s, "accuracy": accuracy}
        for task, accuracy in (("head", 0.75), ("range_full", np.nan))
        for name, s in (("lab", 2.0), ("other", 13.0))
        for seed in range(3)
    )
    asked = pd.DataFrame({"curve": ["flat"] * 2, "tool": ["lab", "other"], "right": [1.0, 0.25]})
    worth = {
        "trained": "all tasks",
        "tool": [LAB_DEFAULT, "other"],
        "answered": [1.0, 0.75],
        "median": [0.01, 0.015],
        "nine_of_ten": [0.06, np.inf],
        "worst": np.inf,
    }
    tables = {"peers": compare(measured), "peers_curves": asked, "peers_suggestions": pd.DataFrame(worth)}
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    origin = {"device": "CPU", "date": "today", "commit": "abc", "seeds": [0], "versions": {"torch": "1"}}
    write_json(tmp_path / "peers.json", origin | {"conditions": {"image_size": 64}})
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    report.main()
    text = (tmp_path / "peers.md").read_text()
    for expected in (
        "6.5 (6.5 to 6.5)",
        "8: missed",
        "1: reached",
        "75.0%",
        "100%",
        "25%",
        "0.010, 0.060 ",
        "0.015, inf (25% none)",
    ):
        assert expected in text, expected
    assert "abc" in text and "torch 1" in text and "image size 64" in text
    reached = [line.split("|")[-2].strip() for line in text[text.rindex("| aim") :].splitlines()[2:]]
    assert reached == ["yes", "yes", "no", "yes", "yes"]


def test_the_best_rate_is_that_of_the_highest_mean():
    accuracies = {0.1: (0.6, 0.8), 0.2: (0.9, 0.6), 0.3: (0.75, 0.75)}
    rows = [("full", "lab", rate, score) for rate, scores in accuracies.items() for score in scores]
    table = pd.DataFrame(
        [*rows, ("head", "lab", 0.3, 0.1)], columns=["task", "contender", "rate", "accuracy"]
    )
    assert best_rates(table) == {("full", "lab"): 0.2, ("head", "lab"): 0.3}


def test_good_rates_lie_in_the_fall():
    for centre in (1e-5, 1e-3):
        low, high = good_rates(falling(centre))
        assert centre / 4 < low < centre < high <= 300 * centre


def test_the_lab_finds_the_fall_and_is_silent_where_there_is_none():
    for rule in (lab_rule("valley"), lab_default):
        for curve in curves():
            found = judge(rule, curve)
            assert found["right"] >= 0.9 and found["error"] == "", curve.name
            assert found["none"] == (curve.right is None) or curve.noise > 0.2, curve.name


def test_wrong_answers_count_as_wrong_and_errors_as_no_answer():
    fall = Curve("fall", falling(1e-3), 0.05, good_rates(falling(1e-3)))
    flat = Curve("flat", np.full(100, 2.3), 0.05)

    def fails(*_):
        raise IndexError("nothing there")

    def right(rule, curve):
        return judge(rule, curve)["right"]

    assert (
        right(lambda *_: 1e-3, fall) == 1 and right(lambda *_: 1e-6, fall) == right(lambda *_: 1.0, fall) == 0
    )
    assert right(lambda *_: 1e-3, flat) == 0 and right(lambda *_: None, flat) == 1
    assert right(lambda *_: None, fall) == right(fails, fall) == 0 and right(fails, flat) == 1
    assert judge(fails, flat)["error"] == "IndexError: nothing there" and judge(fails, flat)["none"] == 1
