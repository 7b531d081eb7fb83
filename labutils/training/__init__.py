"""One training run: settings, plans, rates, the cache of the frozen prefix, `fit`, `evaluate` and the range test."""

from labutils.training.optimizers import rate_table
from labutils.training.schedule import rate_schedule
from labutils.training.trainer import Trainer
