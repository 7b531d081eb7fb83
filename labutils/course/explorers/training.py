"""Explorers with a live training beside them: how deep to train, and at which rates."""

from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

import pandas as pd
import traitlets

from labutils.course.explorers.explorer import SHARED, Explorer, modules, records
from labutils.course.measured_tables import conditions, measured
from labutils.experiments.statistics import intervals
from labutils.runtime.defaults import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from torch import Tensor

    from labutils.course.live_training import LiveTraining
    from labutils.experiments.runs import Run

MOST_RUNS = 6  # whose curves can be told apart
WATCHED = 6  # pictures whose predictions are shown
LESSON = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)  # rates of the last five groups, the head last
COSTS = ["group", "parameters", "kept_mb", "forward_ms", "backward_ms"]


class LiveExplorer(Explorer):
    """An explorer that trains what its controls say. Subclasses give the run, and a name of a choice.

    Torch and the network are loaded when something is to be trained, for they take longer than all else.

    Parameters
    ----------
    run : Run, optional
        What is trained but for the choice and the seed; default the run behind the measured table "surface".
    accuracy : DataFrame, optional
        Columns trained_groups, lr_decay, seed, test_accuracy; default that table.
    costs : DataFrame, optional
        From `group_costs`; default the measured table "group_costs".

    Attributes
    ----------
    runs : list of dict
        Live trainings as the browser shows them, the newest last.
    pictures : list of dict
        Validation pictures whose predictions are watched.
    error : str
        Why what the browser asked for could not be done.
    live : LiveTraining or None
        The newest training.
    """

    runs = traitlets.List().tag(sync=True)
    pictures = traitlets.List().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)

    def __init__(self, data: dict, choice: dict, run: "Run | None"):
        self._run, self.live = run, None
        super().__init__(data, choice)
        self.on_msg(self._asked)

    def live_run(self, choice: dict, run: "Run") -> "Run":
        """What to train for a choice: ``run`` with another strategy."""
        raise NotImplementedError

    def name(self, choice: dict) -> str:
        """What its curve is called."""
        raise NotImplementedError

    def train(self) -> None:
        """Train what the controls say, in a thread of its own; the k-th training of a choice has the k-th further seed."""
        from labutils.course.live_training import LiveTraining
        from labutils.data.data_url import data_url
        from labutils.experiments.depth_decay_grid import surface_run
        from labutils.experiments.runs import open_domain

        choice = dict(self.choice)
        if self._run is None:
            self._run = surface_run(1, 1.0, seed=0)
        earlier = sum(run["choice"] == choice for run in self.runs)
        seed = int(measured("surface")["seed"].max()) + 1 + earlier  # none of those in the table
        run = self.live_run(choice, self._run)
        run = replace(run, seed=seed, settings=replace(run.settings, validate_every=1))
        domain = open_domain(run.domain, run.image_size)
        ids = watched(domain)
        self.pictures = [
            {"label": domain.classes[domain.labels[i]], "src": data_url(domain.images[i], "png")} for i in ids
        ]
        self._watched = Watched(run, domain.images[ids])
        self.live = LiveTraining(self._watched, self._changed)
        entry = {
            "name": self.name(choice) + (f" (seed {seed})" if earlier else ""),
            "seed": seed,
            "choice": choice,
            "epochs": run.settings.epochs,
            "stages": self._stages(run),
            "labels": domain.labels[ids].tolist(),
        }
        earlier = [{**each, "state": "stopped"} if each["state"] == "running" else each for each in self.runs]
        # Before it begins, for it changes its entry from a thread of its own.
        entry |= self._progress(entry["labels"]) | {"state": "running"}
        self.runs = [*earlier, entry][-MOST_RUNS:]
        self.live.start()

    def stop(self) -> None:
        """Ask the training to end: it does so at its next batch."""
        if self.live:
            self.live.stop()

    def reset(self) -> None:
        """Stop, and forget all trainings."""
        self.stop()
        self.live, self.runs, self.pictures = None, [], []

    def _stages(self, run: "Run") -> list[dict]:
        from labutils.training.stages import plan

        names = tuple(group["name"] for group in self.data["groups"])[-run.strategy.groups :]
        stages = plan(names, run.strategy.how, run.settings.epochs, run.strategy.head_lr)
        return [
            {"epochs": stage.epochs, "groups": list(stage.groups), "rate": stage.base_lr} for stage in stages
        ]

    def _asked(self, widget, content: dict, buffers) -> None:
        # With the question, for a state may be on its way still.
        self.choice, self.error = content["choice"], ""
        try:
            {"train": self.train, "stop": self.stop, "reset": self.reset}[content["do"]]()
        except Exception as error:  # a kernel would write it into a log that nobody reads
            self.error = f"{type(error).__name__}: {error}"

    def _changed(self, live: "LiveTraining") -> None:
        if live is self.live:  # not one that a newer run has replaced
            *earlier, newest = self.runs
            self.runs = [*earlier, newest | self._progress(newest["labels"])]

    def _progress(self, labels: list[int]) -> dict:
        """How far the newest training is, as the browser shows it."""
        live = self.live
        return {
            "state": live.state,
            "rows": [
                {
                    "epoch": row["epoch"],
                    "train": row["train_accuracy"],
                    "validation": row["validation_accuracy"],
                }
                for row in live.rows
            ],
            "predictions": [
                [
                    {"probability": shares[label], "right": shares.index(max(shares)) == label}
                    for shares, label in zip(epoch, labels, strict=True)
                ]
                for epoch in self._watched.predictions
            ],
            "test": live.result["test_accuracy"] if live.state == "finished" else None,
            "error": f"{type(live.error).__name__}: {live.error}" if live.error else None,
        }


@dataclass(frozen=True)
class Watched:
    """A run that also predicts some pictures after every epoch."""

    run: "Run"
    pictures: "Tensor"
    predictions: list[list[list[float]]] = field(default_factory=list)

    def execute(self, on_epoch) -> dict:
        from labutils.analysis.features import batches
        from labutils.networks.groups import inference

        def after(row: dict, model) -> None:
            with inference(model):
                shares = [model(some).float().softmax(1).tolist() for some in batches(model, self.pictures)]
            self.predictions.append([each for some in shares for each in some])
            on_epoch(row)

        return self.run.execute(after)


def watched(domain) -> list[int]:
    """Ids of the first validation pictures, the classes in turn."""
    ids = domain.validation.tolist()
    of_class = [[i for i in ids if domain.labels[i] == number] for number in range(len(domain.classes))]
    in_turn = [i for places in zip_longest(*of_class) for i in places if i is not None]
    return sorted(in_turn[:WATCHED], key=lambda i: int(domain.labels[i]))


def groups_of(run: "Run | None", costs: pd.DataFrame | None) -> list[dict]:
    """The groups with what each costs, stem first; measured now where there is no table of the network to be trained."""
    if costs is None and run is None and conditions("group_costs")["backbone"] == DEFAULT_BACKBONE:
        costs = measured("group_costs")
    elif costs is None:
        from labutils.analysis.compute_costs import group_costs
        from labutils.experiments.depth_decay_grid import surface_run
        from labutils.experiments.runs import open_domain
        from labutils.networks.backbones import build_feature_extractor

        run = run or surface_run(1, 1.0, seed=0)
        classes = len(open_domain(run.domain, run.image_size).classes)
        model = build_feature_extractor(run.backbone, classes, pretrained=run.strategy.pretrained)
        costs = group_costs(model, run.image_size, run.settings.batch_size)
    return [
        {
            "name": row.group,
            "parameters": row.parameters,
            "kept_mb": row.kept_mb,
            "step_ms": row.forward_ms + row.backward_ms,
        }
        for row in costs[COSTS].itertuples()
    ]


def backbone_of(accuracy: pd.DataFrame | None) -> str | None:
    """The network whose accuracies are shown, where they are those of the measured table."""
    return conditions("surface")["backbone"] if accuracy is None else None


def rate_text(rate: float) -> str:
    """As the browser writes it: 1e−3, 5.6e−4."""
    return f"{rate:.1e}".replace(".0e", "e").replace("e-0", "e−")


def groups_text(count: int) -> str:
    return f"{count} group{'s' * (count > 1)}"


class FreezeDepth(LiveExplorer):
    """How many groups to train: cost, accuracy measured beforehand on the solar cells, and live trainings.

    Parameters as in `LiveExplorer`.
    """

    _esm = modules(*SHARED, "curves", "live", "freeze_depth")

    def __init__(
        self,
        run: "Run | None" = None,
        accuracy: pd.DataFrame | None = None,
        costs: pd.DataFrame | None = None,
    ):
        table = measured("surface") if accuracy is None else accuracy
        table = table[
            (table["lr_decay"] == 3) | (table["trained_groups"] == 1)
        ]  # alone, the head has no decay
        groups = groups_of(run, costs)
        data = {
            "groups": groups,
            "backbone": backbone_of(accuracy),
            "accuracy": records(intervals(table, ["trained_groups"])),
        }
        super().__init__(data, {"trained_groups": min(3, len(groups))}, run)

    def live_run(self, choice: dict, run: "Run") -> "Run":
        from labutils.experiments.depth_decay_grid import last_groups

        return replace(run, strategy=last_groups(choice["trained_groups"]))

    def name(self, choice: dict) -> str:
        return groups_text(choice["trained_groups"])


class RateDecay(LiveExplorer):
    """Learning rates of the groups from base rate and decay, on the accuracy measured beforehand, and live trainings.

    Parameters as in `LiveExplorer`.
    """

    _esm = modules(*SHARED, "curves", "live", "rate_decay")

    def __init__(
        self,
        run: "Run | None" = None,
        accuracy: pd.DataFrame | None = None,
        costs: pd.DataFrame | None = None,
    ):
        table, base_lr = (
            measured("surface") if accuracy is None else accuracy,
            conditions("surface")["base_lr"],
        )
        groups = groups_of(run, costs)
        data = {
            "groups": groups,
            "surface": records(intervals(table, ["trained_groups", "lr_decay"])),
            "backbone": backbone_of(accuracy),
            "base_lr": base_lr,
            "lesson": [LESSON[0]] * (len(groups) - len(LESSON)) + list(LESSON[-len(groups) :]),
        }
        super().__init__(
            data, {"base_lr": base_lr, "decay": 3, "trained_groups": len(groups), "lesson": False}, run
        )

    def live_run(self, choice: dict, run: "Run") -> "Run":
        from labutils.experiments.depth_decay_grid import last_groups

        groups = choice["trained_groups"]
        if choice["lesson"]:
            strategy = replace(last_groups(groups), how="at once", base_lr=tuple(self.data["lesson"]))
        else:
            strategy = last_groups(groups, choice["base_lr"], choice["decay"])
        return replace(run, strategy=strategy)

    def name(self, choice: dict) -> str:
        rates = (
            "lesson" if choice["lesson"] else f"η {rate_text(choice['base_lr'])}, decay {choice['decay']:g}"
        )
        return f"{groups_text(choice['trained_groups'])}, {rates}"
