"""Part 5 of the headless lab: a learning rate from a range test."""

from labutils.experiments.runs import open_domain
from labutils.headless.parts.writing import keep
from labutils.headless.plan import Plan
from labutils.networks.backbones import build_feature_extractor
from labutils.training.range_test import lr_finder


def range_test(plan: Plan) -> str:
    """5 · A learning rate from a range test"""
    domain = open_domain(plan.domain, plan.image_size)
    model = build_feature_extractor(plan.backbone, len(domain.classes))
    found = lr_finder(model, domain.labelled(plan.labels, plan.seeds[0]), plan.settings)
    keep(plan, "range_test", found.curve, found.plot())
    if found.reason:
        said = f"No suggestion: {found.reason}."
    else:
        rules = ", ".join(f"{name} {rate:.1e}" for name, rate in found.suggestions.items())
        said = f"Suggested rate of the head: {found.suggestion:.1e}. The rules: {rules}."
    return f"{said} The test ended because {found.stopped}.\n\n![Loss over learning rate](range_test.png)"
