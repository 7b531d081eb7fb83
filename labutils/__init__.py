"""Helpers of the transfer-learning lab: a network is a sequence of named layer groups."""

from labutils.data import Domain, folder, load
from labutils.deploy.classifier import Classifier
from labutils.deploy.files import open_classifier, save
from labutils.experiments.comparisons import compare_transfer_vs_scratch, domain_gap_experiment
from labutils.experiments.finetune import finetune
from labutils.experiments.runs import Run, Strategy, run_all
from labutils.experiments.statistics import effective_data, intervals
from labutils.experiments.trials import Finetuned
from labutils.networks.adapters import add_adapters, merge_adapters
from labutils.networks.backbones import (
    BACKBONES,
    DEFAULT_BACKBONE,
    WeightsError,
    build_feature_extractor,
    load_backbone,
)
from labutils.networks.freezing import freeze_all_but
from labutils.networks.groups import LayerGroups
from labutils.runtime.devices import pick_device
from labutils.runtime.seeds import default_seed
from labutils.training.activation_cache import ActivationCache
from labutils.training.evaluation import Evaluation, evaluate
from labutils.training.loop import fit
from labutils.training.optimizers import discriminative_lr_optimizer, group_rates
from labutils.training.range_test import RangeTest, lr_finder
from labutils.training.settings import Settings
from labutils.training.stages import Stage, partial_finetune
from labutils.training.trainer import TrainingDiverged

__all__ = [
    "ActivationCache",
    "BACKBONES",
    "Classifier",
    "DEFAULT_BACKBONE",
    "Domain",
    "Evaluation",
    "Finetuned",
    "LayerGroups",
    "RangeTest",
    "Run",
    "Settings",
    "Stage",
    "Strategy",
    "TrainingDiverged",
    "WeightsError",
    "add_adapters",
    "build_feature_extractor",
    "compare_transfer_vs_scratch",
    "default_seed",
    "discriminative_lr_optimizer",
    "domain_gap_experiment",
    "effective_data",
    "evaluate",
    "finetune",
    "fit",
    "folder",
    "freeze_all_but",
    "group_rates",
    "intervals",
    "load",
    "load_backbone",
    "lr_finder",
    "merge_adapters",
    "open_classifier",
    "partial_finetune",
    "pick_device",
    "run_all",
    "save",
]
