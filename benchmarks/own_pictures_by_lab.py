"""``python -m labutils`` with its minutes counted on the clock of its one thread; run by `own_pictures`.

On a machine that others use, too, the choice is then that of a core of its own.
"""

import importlib
import sys
from time import process_time

from labutils.headless.command_line import main

for module in (
    "labutils.headless.own_pictures",
    "labutils.experiments.finetune",
    "labutils.experiments.linear_head",
):
    importlib.import_module(module).perf_counter = process_time

if __name__ == "__main__":
    sys.exit(main())
