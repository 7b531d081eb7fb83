"""Explorers for the notebooks: how deep to train, at which rates, and what fits into memory.

They are drawn in the browser by the ES modules in ``browser/``; here their numbers are gathered and trainings run.
"""

from labutils.course.explorers.memory import TrainingMemory
from labutils.course.explorers.training import FreezeDepth, RateDecay
