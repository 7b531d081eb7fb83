"""What the widgets show, as pure functions: numbers in; figure, table and one sentence out."""

from labutils.panels.freeze_depth import freeze_depth_panel
from labutils.panels.memory import memory_panel
from labutils.panels.panel import Panel
from labutils.panels.rates import rate_panel
