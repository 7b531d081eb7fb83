"""What holds where nothing is named, read in one place and without torch, which takes seconds to load."""

import os

# LAB_BACKBONE=resnet50 runs the whole course on that network.
DEFAULT_BACKBONE = os.environ.get("LAB_BACKBONE") or "efficientnet_lite0"
