"""Networks as named layer groups: backbones and their weights, freezing, adapters."""
