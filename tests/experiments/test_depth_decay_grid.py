"""The runs of the surface differ in depth and decay alone."""

from dataclasses import replace

import pytest

from labutils.experiments.depth_decay_grid import last_groups, surface_run


def test_a_point_of_the_surface_is_200_cells_of_64_pixels_for_8_epochs():
    run = surface_run(3, 2.0, 7)
    assert (run.domain, run.labels, run.image_size, run.seed) == ("solar", 200, 64, 7)
    assert run.settings.epochs == run.settings.validate_every == 8 and not run.settings.keep_best
    assert (run.strategy.groups, run.strategy.lr_decay, run.strategy.how) == (3, 2.0, "linear probe first")
    assert run == replace(surface_run(6, 1.0, 7), strategy=run.strategy)


@pytest.mark.parametrize("count, how", [(1, "at once"), (2, "linear probe first")])
def test_the_head_alone_needs_no_second_stage_and_rates_are_those_asked_for(count, how):
    strategy = last_groups(count, base_lr=0.5)
    assert (strategy.groups, strategy.base_lr, strategy.how) == (count, 0.5, how)
    assert last_groups(2, lr_decay=1.5).lr_decay == 1.5
