"""One call chooses on validation pictures alone, within its time, and says what it tried."""

import pytest

import labutils as lab


def test_a_network_that_beats_guessing_with_what_was_tried(tiny_backbone, tiny_domain):
    found = lab.finetune(tiny_domain, minutes=0.5, backbone=tiny_backbone)
    assert found.evaluation.accuracy > 0.5 and found.model.classes == tiny_domain.classes
    assert found.tried["taken"].any() and {"groups", "score", "seconds"} <= set(found.tried.columns)
    assert found.evaluation.logits.shape[0] == len(tiny_domain.test)


def test_the_test_pictures_choose_nothing(tiny_backbone, tiny_domain):
    from dataclasses import replace

    turned = tiny_domain.labels.clone()
    turned[tiny_domain.test] = (turned[tiny_domain.test] + 1) % 3
    chosen = [
        lab.finetune(domain, minutes=0.5, backbone=tiny_backbone).tried[["trial", "score", "taken"]]
        for domain in (tiny_domain, replace(tiny_domain, labels=turned))
    ]
    assert chosen[0].equals(chosen[1])


@pytest.mark.parametrize("minutes", [0, -1, "3", float("nan")])
def test_a_time_that_is_none(tiny_backbone, tiny_domain, minutes):
    with pytest.raises(ValueError, match="minutes"):
        lab.finetune(tiny_domain, minutes=minutes, backbone=tiny_backbone)
