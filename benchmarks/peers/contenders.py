"""Who takes part in which task."""

from importlib.metadata import version

from benchmarks.peers.tasks import TASKS, Conditions
from benchmarks.provenance import provenance

PACKAGES = ("fastai", "lightning", "keras", "torch-lr-finder")

TRAININGS, RANGE_TESTS = ("head", "mixed", "full"), ("range_head", "range_full")


def _all(module: str, tasks) -> dict[str, str]:
    return {task: f"{module}.{task}" for task in tasks}


# Name, and for each task the function that does it. In this order they take turns.
CONTENDERS = {
    "lab": _all("by_lab", TASKS),
    "plain loop": _all("by_plain_loop", TRAININGS),
    "plain loop, channels-last": {"full": "by_plain_loop.full_channels_last"},
    "fastai": _all("by_fastai", TASKS),
    "fastai, train_bn=False": {"head": "by_fastai.head_norms_frozen"},
    "Lightning": _all("by_lightning", TASKS),
    "Keras": _all("by_keras", TRAININGS),
    "torch-lr-finder": _all("by_torch_lr_finder", RANGE_TESTS),
}


def origin(seeds: tuple[int, ...]) -> dict:
    """Where the numbers of this benchmark come from, with the versions of the peers."""
    measured_with = provenance(seeds=seeds, threads=Conditions().threads)
    return measured_with | {
        "versions": measured_with["versions"] | {name: version(name) for name in PACKAGES}
    }
