"""The whole lab without a notebook: every part on real pictures, tables and figures into ``outputs/``.

python solution.py            the six core parts, three seeds
python solution.py --quick    a first look in under three minutes on two cores

Several GPUs or machines: docs/scaling.md.
"""

import argparse
import sys
from pathlib import Path

from labutils.headless.parts import CORE, OWN, PARTS
from labutils.headless.plan import Plan
from labutils.headless.report import write_report
from labutils.headless.shared_options import (
    add_fit_option,
    add_network_options,
    add_picture_options,
    ended,
    on_device,
)
from labutils.runtime.distributed import process_group


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small pictures, few labels, one seed")
    parser.add_argument(
        "--domain",
        metavar="NAME",
        help="pictures for all parts but domains and forgetting: solar (the default), textures, digits, …",
    )
    parser.add_argument("--data", metavar="DIR", help="your own pictures, instead of --domain")
    add_picture_options(parser)
    add_fit_option(parser)
    add_network_options(parser)
    parser.add_argument("--seeds", type=int, help="how many seeds; 3, or 1 with --quick")
    parser.add_argument(
        "--parts", nargs="+", choices=list(PARTS), metavar="PART", help=f"which of {', '.join(PARTS)}"
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--workers", type=int, help="processes; default one per core up to 4, and 1 on a GPU")
    who.add_argument(
        "--scheduler",
        dest="workers",
        metavar="ADDRESS",
        help="of a Dask cluster, which does the runs instead",
    )
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder for the results")
    arguments = parser.parse_args()
    return ended(lambda: run(arguments), "Finished runs are kept: the same command goes on from here.")


def run(arguments: argparse.Namespace) -> None:
    with on_device(arguments.device), process_group():
        plan = Plan.from_arguments(arguments)
        write_report(plan, arguments.parts or (CORE if arguments.data is None else OWN))


if __name__ == "__main__":
    sys.exit(main())
