"""Learning a new task without losing the old ones."""

from labutils.forgetting.comparison import at_equal_accuracy, method_means, pareto
from labutils.forgetting.distillation import LearningWithoutForgetting
from labutils.forgetting.fisher import diagonal_fisher
from labutils.forgetting.interpolation import weight_path
from labutils.forgetting.metrics import average_accuracy, backward_transfer, forgetting, forward_transfer
from labutils.forgetting.rehearsal import Buffer, Rehearsal
from labutils.forgetting.tasks import TaskSequence, new_head, probe
from labutils.forgetting.weight_penalties import EWC, L2SP, Anchor
