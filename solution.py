"""The whole lab without a notebook: every part on real pictures, tables and figures into ``outputs/``.

python solution.py            all parts, three seeds
python solution.py --quick    a first look in under three minutes on two cores

Several GPUs or machines: docs/scaling.md.
"""

import argparse
import sys
from pathlib import Path

from labutils.headless.parts import CORE, PARTS
from labutils.headless.plan import Plan
from labutils.headless.report import write_report
from labutils.runtime.distributed import process_group


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small pictures, few labels, one seed")
    parser.add_argument(
        "--domain",
        default="solar",
        help="pictures for all parts but domains and forgetting: textures, solar, …",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="your own pictures, one folder a class, instead of --domain"
    )
    parser.add_argument("--backbone", default="efficientnet_lite0", help="pretrained network")
    parser.add_argument("--device", help="cuda, mps or cpu; chosen by itself if not given")
    parser.add_argument(
        "--image-size", type=int, help="side of the pictures in pixels; 128, or 64 with --quick"
    )
    parser.add_argument("--seeds", type=int, help="how many seeds; 3, or 1 with --quick")
    parser.add_argument(
        "--parts", nargs="+", choices=list(PARTS), default=list(CORE), help="which parts to do"
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--workers", type=int, help="processes; one for each core if not given")
    who.add_argument(
        "--scheduler",
        dest="workers",
        metavar="ADDRESS",
        help="of a Dask cluster, which does the runs instead",
    )
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder for the results")
    arguments = parser.parse_args()
    try:
        with process_group():
            plan = Plan.from_arguments(arguments)
            write_report(plan, arguments.parts)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Finished runs are kept: the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
