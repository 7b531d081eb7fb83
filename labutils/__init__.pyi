from . import (
    analysis,
    course,
    data,
    deploy,
    experiments,
    forgetting,
    headless,
    networks,
    plots,
    runtime,
    training,
)
from .data import Domain, folder, load
from .deploy.classifier import Classifier
from .deploy.files import open_classifier, save
from .experiments.comparisons import compare_transfer_vs_scratch, domain_gap_experiment
from .experiments.finetune import finetune
from .experiments.runs import Run, Strategy, run_all
from .experiments.statistics import effective_data, intervals
from .experiments.trials import Finetuned
from .networks.adapters import add_adapters, merge_adapters
from .networks.backbones import (
    BACKBONES,
    DEFAULT_BACKBONE,
    WeightsError,
    build_feature_extractor,
    load_backbone,
)
from .networks.freezing import freeze_all_but
from .networks.groups import LayerGroups
from .runtime.devices import pick_device
from .runtime.seeds import default_seed
from .training.activation_cache import ActivationCache
from .training.evaluation import Evaluation, evaluate
from .training.loop import fit
from .training.optimizers import discriminative_lr_optimizer, group_rates
from .training.range_test import RangeTest, lr_finder
from .training.settings import Settings
from .training.stages import Stage, partial_finetune
from .training.trainer import TrainingDiverged
