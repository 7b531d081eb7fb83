"""The parts of the headless lab: each turns runs into a table, a figure and a section of the report."""

from collections.abc import Callable

from labutils.headless.parts.part1_feature_extraction import feature_extraction
from labutils.headless.parts.part2_partial_finetuning import partial_finetuning
from labutils.headless.parts.part3_discriminative_rates import discriminative_rates
from labutils.headless.parts.part4_transfer_or_scratch import transfer_or_scratch
from labutils.headless.parts.part5_range_test import range_test
from labutils.headless.parts.part6_domain_gap import domain_gap
from labutils.headless.parts.part7_forgetting import forgetting
from labutils.headless.parts.part8_memory import memory
from labutils.headless.parts.part9_capstone import capstone
from labutils.headless.parts.part10_classifier import finished_classifier
from labutils.headless.plan import Plan

CORE: dict[str, Callable[[Plan], str]] = {
    "features": feature_extraction,
    "partial": partial_finetuning,
    "rates": discriminative_rates,
    "scratch": transfer_or_scratch,
    "finder": range_test,
    "domains": domain_gap,
}
PARTS = CORE | {
    "forgetting": forgetting,
    "memory": memory,
    "capstone": capstone,
    "classifier": finished_classifier,
}
OWN = (*CORE, "classifier")  # what is done with one's own pictures
