"""While pages are checked, no progress bars: whether a bar appears depends on how slow the machine is just now."""

import os

os.environ["TQDM_DISABLE"] = "1"  # the kernels inherit it
