"""What the lab says of transfer learning, on real pictures over three seeds. Slow: about ten minutes on two cores."""

import pytest

from labutils import compare_transfer_vs_scratch, domain_gap_experiment
from labutils.experiments.runs import FEATURES, PARTIAL, SCRATCH

pytestmark = pytest.mark.claims


def mean(table, **where) -> float:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 3, "three seeds"
    return table["test_accuracy"].mean()


def test_solar_recipe_reaches_its_accuracy_and_beats_scratch(tmp_path):
    """500 labels at 128 px: head on frozen features, then the last blocks at a tenth of the rate."""
    _, ends = compare_transfer_vs_scratch("solar", labels=500, store=tmp_path)
    transfer, scratch = mean(ends, start="pretrained"), mean(ends, start="random")
    print(ends.drop(columns="seconds").to_string())
    assert transfer >= 0.83
    assert transfer - scratch >= 0.04


def test_textures_at_five_labels_a_class_beat_scratch_by_far(tmp_path):
    table = domain_gap_experiment(["textures"], labels=(60,), strategies=(PARTIAL, SCRATCH), store=tmp_path)
    lead = mean(table, strategy=PARTIAL.name) - mean(table, strategy=SCRATCH.name)
    assert lead >= 0.4


def test_digits_are_where_frozen_features_stop_paying(tmp_path):
    table = domain_gap_experiment(
        ["digits"], labels=(50, 3000), strategies=(FEATURES, SCRATCH), store=tmp_path
    )
    few, many = (
        mean(table, strategy=FEATURES.name, labels=n) - mean(table, strategy=SCRATCH.name, labels=n)
        for n in (50, 3000)
    )
    assert few > 0.1, "with few labels the features of ImageNet help, even for strokes of a pen"
    assert many <= 0.02, "with many labels the two curves touch"
