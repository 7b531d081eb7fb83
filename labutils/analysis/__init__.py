"""What a network has learned, what it costs, and what it is unsure of."""

from labutils.analysis.agreement_with_original import (
    Agreement,
    agreement,
    answers,
    between,
    imagenet_name,
    known_pictures,
    with_old_head,
)
from labutils.analysis.calibration import calibration_error, error_if_calibrated, fit_temperature, reliability
from labutils.analysis.cka import compare_groups, linear_cka
from labutils.analysis.compute_costs import (
    depth_costs,
    group_costs,
    saved_for_backward,
    storages,
    without_shared_storage,
)
from labutils.analysis.domain_distance import distance_from_pretraining
from labutils.analysis.errors import most_wrong, twins_across_splits
from labutils.analysis.features import batches, group_features
from labutils.analysis.linear_probes import probe_depths
from labutils.analysis.receptive_fields import Field, photographs, prefix_to, receptive_field, strongest_crops
from labutils.analysis.saliency import class_map, hide
from labutils.analysis.training_memory import (
    Memory,
    largest_batch,
    memory_costs,
    peak_allocated,
    step_memory,
    training_memory,
)
from labutils.analysis.weight_movement import movement, share_changed
