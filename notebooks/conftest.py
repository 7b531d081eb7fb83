"""No progress bars while pages are checked or stored: whether one appears depends on how slow the machine is."""

import os

# Kernels inherit these. tqdm's bar for notebooks does not obey TQDM_DISABLE, the plain one does, and tqdm takes
# the plain one where a name begins with SPYDER.
os.environ.update(TQDM_DISABLE="1", SPYDER_PLAIN_BARS="1")
