"""Explorers for the notebooks: how deep to train, at which rates, and what fits into memory.

Everything shown comes from `labutils.panels`.
"""

from labutils.widgets.memory import TrainingMemory
from labutils.widgets.training import FreezeDepth, RateDecay
