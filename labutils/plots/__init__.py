"""Every figure, one file a theme: tables come in, a matplotlib Figure comes out, nothing is computed."""

from labutils.plots.comparisons import plot_comparison, plot_freeze_depth, plot_history, plot_rates
from labutils.plots.diagnostics import (
    plot_confusion,
    plot_maps,
    plot_mistakes,
    plot_power_law,
    plot_reliability,
)
from labutils.plots.domain_gap import plot_domain_gap, plot_lead_over_distance, plot_strategy_map
from labutils.plots.forgetting import plot_matrix, plot_trade_off, plot_weight_path
from labutils.plots.learning_rates import plot_group_rates, plot_movement, plot_seeds, plot_surface
from labutils.plots.memory import plot_memory
from labutils.plots.range_test import plot_lr_finder, plot_smoothing
from labutils.plots.representations import plot_by_group, plot_filters, plot_pictures
from labutils.plots.schedules import plot_plans, plot_points, plot_schedule
from labutils.plots.style import STYLE
from labutils.plots.surgical_finetuning import plot_shifts, plot_surgery
