"""What the widgets show, as pure functions: numbers in; figure, table and one sentence out."""

from labutils.course.panels.freeze_depth import freeze_depth_panel
from labutils.course.panels.memory import memory_panel
from labutils.course.panels.panel import Panel
from labutils.course.panels.rates import rate_panel
