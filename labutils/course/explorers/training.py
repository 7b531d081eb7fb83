"""Explorers with a live training beside them: how deep to train, and at which rates."""

from dataclasses import replace

import ipywidgets as widgets
import pandas as pd

from labutils.analysis.compute_costs import depth_costs, group_costs
from labutils.course.explorers.explorer import Explorer, alert, shown
from labutils.course.live_training import LiveTraining
from labutils.course.measured_tables import measured
from labutils.course.panels import Panel, freeze_depth_panel, rate_panel
from labutils.experiments.depth_decay_grid import last_groups, surface_run
from labutils.experiments.runs import FULL, Run, open_domain
from labutils.experiments.statistics import intervals
from labutils.networks.backbones import build_feature_extractor
from labutils.training.optimizers import discriminative_lr_optimizer, rate_table


class LiveExplorer(Explorer):
    """An explorer with buttons that train what the controls say. Subclasses also give the run that "Train" starts."""

    def __init__(self, **controls: tuple[str, widgets.ValueWidget]):
        self.train = widgets.Button(
            description="Train", button_style="primary", tooltip="Train with the values above"
        )
        self.stop = widgets.Button(
            description="Stop", disabled=True, tooltip="End the training at its next batch"
        )
        self.progress = widgets.IntProgress(value=0, min=0, max=1)
        self.status = widgets.Label("Ready.")
        self.live: LiveTraining | None = None
        self.points: list[tuple] = []
        super().__init__([widgets.HBox([self.train, self.stop, self.progress, self.status])], **controls)
        self.train.on_click(self._start)
        self.stop.on_click(self._end)

    @property
    def rows(self) -> list[dict]:
        """Epochs of the live training so far."""
        return list(self.live.rows) if self.live else []

    def live_run(self) -> Run:
        """The run that "Train" starts."""
        raise NotImplementedError

    def point(self, run: Run, accuracy: float) -> tuple:
        """Where the end of a live training stands in the picture."""
        raise NotImplementedError

    @shown
    def _start(self, button) -> None:
        self.message.value = ""
        self.live = LiveTraining(self.live_run(), self._changed)
        self.train.disabled, self.stop.disabled = True, False
        self.progress.value, self.progress.max = 0, self.live.run.settings.epochs
        self.status.value = "Training …"
        self.live.start()

    @shown
    def _end(self, button) -> None:
        self.status.value = "Stopping …"
        self.live.stop()

    def _changed(self, live: LiveTraining) -> None:
        if live is self.live:  # not one that a newer run has replaced
            self._follow(live)

    @shown
    def _follow(self, live: LiveTraining) -> None:
        self.progress.value = len(live.rows)
        if live.running:
            self.status.value = f"Epoch {len(live.rows)} of {live.run.settings.epochs}"
        else:
            self.train.disabled, self.stop.disabled = False, True
            self.status.value = {"finished": "Finished.", "stopped": "Stopped.", "failed": "Failed."}[
                live.state
            ]
        if live.state == "failed":
            self.message.value = alert(live.error)
        if live.state == "finished":
            self.points.append(self.point(live.run, live.result["test_accuracy"]))
        self._draw()


class FreezeDepth(LiveExplorer):
    """How many groups to train: cost, accuracy measured beforehand on the solar cells, and a live training.

    Parameters
    ----------
    run : Run, optional
        What "Train" does; default the run behind the measured table "surface".
    accuracy : DataFrame, optional
        Columns trained_groups, lr_decay, test_accuracy; default that table.
    """

    def __init__(self, run: Run | None = None, accuracy: pd.DataFrame | None = None):
        self._run = run or surface_run(1, FULL.lr_decay, seed=0)
        table = measured("surface") if accuracy is None else accuracy
        decays = (FULL.lr_decay, 1.0)  # with the head alone the decay says nothing
        table = table[(table["lr_decay"] == decays[0]) | (table["trained_groups"] == 1)]
        self._accuracy = intervals(table, ["trained_groups"])
        self._depths = depth_costs(
            group_costs(_network(self._run), self._run.image_size, self._run.settings.batch_size)
        )
        slider = widgets.IntSlider(value=min(3, len(self._depths)), min=1, max=len(self._depths))
        super().__init__(trained_groups=("Trained groups, counted from the head", slider))

    def panel(self) -> Panel:
        return freeze_depth_panel(
            self._depths, self._accuracy, self.controls["trained_groups"].value, self.rows, self.points
        )

    def live_run(self) -> Run:
        groups = self.controls["trained_groups"].value
        return _watched(replace(self._run, strategy=last_groups(groups)))

    def point(self, run: Run, accuracy: float) -> tuple[int, float]:
        return run.strategy.groups, accuracy


class RateDecay(LiveExplorer):
    """Learning rates of the groups from base rate and decay, on the accuracy measured beforehand, and a live training.

    Parameters as in `FreezeDepth`.
    """

    def __init__(self, run: Run | None = None, accuracy: pd.DataFrame | None = None):
        self._run = run or surface_run(1, FULL.lr_decay, seed=0)
        table = measured("surface") if accuracy is None else accuracy
        self._surface = intervals(table[table["trained_groups"] > 1], ["trained_groups", "lr_decay"])
        self._model = _network(self._run)
        groups = len(self._model)
        super().__init__(
            base_lr=(
                "Base rate η of the head (log scale)",
                widgets.FloatLogSlider(value=FULL.base_lr, min=-4, max=-1, step=0.25, readout_format=".1e"),
            ),
            decay=(
                "Decay from group to group",
                widgets.FloatSlider(value=FULL.lr_decay, min=1, max=10, step=0.5),
            ),
            trained_groups=(
                "Trained groups, counted from the head",
                widgets.IntSlider(value=groups, min=2, max=groups),
            ),
        )

    def _values(self) -> tuple[float, float, int]:
        return tuple(self.controls[name].value for name in ("base_lr", "decay", "trained_groups"))

    def panel(self) -> Panel:
        base_lr, decay, groups = self._values()
        rates = pd.DataFrame(rate_table(discriminative_lr_optimizer(self._model, base_lr, decay)))
        return rate_panel(rates.drop(columns="trained"), self._surface, groups, decay, self.rows, self.points)

    def live_run(self) -> Run:
        base_lr, decay, groups = self._values()
        return _watched(replace(self._run, strategy=last_groups(groups, base_lr, decay)))

    def point(self, run: Run, accuracy: float) -> tuple[int, float, float]:
        return run.strategy.groups, run.strategy.lr_decay, accuracy


def _network(run: Run):
    classes = len(open_domain(run.domain, run.image_size).classes)
    return build_feature_extractor(run.backbone, classes, pretrained=run.strategy.pretrained)


def _watched(run: Run) -> Run:
    """The same run with a look at the validation pictures after every epoch; the training is the same."""
    return replace(run, settings=replace(run.settings, validate_every=1))
