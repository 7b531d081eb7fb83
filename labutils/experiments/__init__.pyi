from .comparisons import compare_transfer_vs_scratch, domain_gap_experiment
from .forgetting_trade_off import STRENGTHS, ForgettingRun, trade_off
from .learning_curve import PowerLaw, fit_power_law
from .range_test_trials import rates_around_suggestion
from .runs import (
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
from .statistics import (
    at_best_rate,
    effective_data,
    intervals,
    lead,
    leads,
    runs_table,
    steps_to_match,
    strategy_map,
)
from .surgical_finetuning import (
    BLOCKS,
    adapt,
    evaluation_subset,
    shifted,
    surgical_experiment,
    train_source,
)
