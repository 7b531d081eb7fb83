"""Many runs: who does them, the comparisons of the lab, and the statistics of their tables."""

from labutils.experiments.comparisons import compare_transfer_vs_scratch, domain_gap_experiment
from labutils.experiments.finetune import finetune
from labutils.experiments.forgetting_trade_off import STRENGTHS, ForgettingRun, trade_off
from labutils.experiments.learning_curve import PowerLaw, fit_power_law
from labutils.experiments.range_test_trials import rates_around_suggestion
from labutils.experiments.runs import (
    FEATURES,
    FULL,
    PARTIAL,
    SCRATCH,
    STRATEGIES,
    Run,
    Strategy,
    open_domain,
    run_all,
)
from labutils.experiments.statistics import (
    effective_data,
    intervals,
    leads,
    runs_table,
    steps_to_match,
    strategy_map,
)
from labutils.experiments.surgical_finetuning import (
    BLOCKS,
    adapt,
    at_best_rate,
    evaluation_subset,
    shifted,
    surgical_experiment,
    train_source,
)
