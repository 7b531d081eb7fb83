"""Explorers for the notebooks: how deep to train, at which rates, and what fits into memory.

Everything shown comes from `labutils.course.panels`.
"""

from labutils.course.explorers.memory import TrainingMemory
from labutils.course.explorers.training import FreezeDepth, RateDecay
