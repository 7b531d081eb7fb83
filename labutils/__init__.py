"""Helpers of the transfer-learning lab: a network is a sequence of named layer groups."""

from labutils.activation_cache import ActivationCache
from labutils.adapters import add_adapters, merge_adapters
from labutils.backbones import BACKBONES, WeightsError, build_feature_extractor, load_backbone
from labutils.domains import Domain, folder, load
from labutils.experiments import compare_transfer_vs_scratch, domain_gap_experiment
from labutils.freezing import Stage, freeze_all_but, partial_finetune
from labutils.groups import LayerGroups
from labutils.lr_finder import RangeTest, lr_finder
from labutils.optimizers import discriminative_lr_optimizer, group_rates
from labutils.runs import Run, Strategy, run_all
from labutils.settings import Settings, pick_device
from labutils.tables import effective_data, intervals
from labutils.trainer import Evaluation, TrainingDiverged
from labutils.training import evaluate, fit
