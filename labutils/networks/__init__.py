"""Networks as named layer groups: backbones and their weights, freezing, adapters."""

from labutils.networks.freezing import block
from labutils.networks.groups import inference
