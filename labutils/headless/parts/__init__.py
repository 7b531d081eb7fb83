"""The parts of the headless lab: each turns runs into a table, a picture and a section of the report."""

from collections.abc import Callable

from labutils.headless.parts import core, further
from labutils.headless.plan import Plan

CORE: dict[str, Callable[[Plan], str]] = {
    "features": core.feature_extraction,
    "partial": core.partial_finetuning,
    "rates": core.discriminative_rates,
    "scratch": core.transfer_or_scratch,
    "finder": core.range_test,
    "domains": core.domain_gap,
}
PARTS = CORE | {
    "forgetting": further.forgetting,
    "memory": further.memory,
    "capstone": further.capstone,
}
