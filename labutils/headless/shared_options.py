"""Options that `solution.py` and ``python -m labutils`` share, and how both end."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from labutils.experiments.runs import Pictures
from labutils.networks.backbones import DEFAULT_BACKBONE
from labutils.runtime.devices import pick_device


def add_network_options(parser: ArgumentParser) -> None:
    """--backbone, --image-size and --device."""
    parser.add_argument(
        "--backbone",
        default=DEFAULT_BACKBONE,
        metavar="NAME",
        help="pretrained network: any name of torchvision or timm (%(default)s, whose weights are installed)",
    )
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="side of the pictures (128)")
    add_device_option(parser)


def add_device_option(parser: ArgumentParser) -> None:
    parser.add_argument("--device", help="cuda, mps or cpu; chosen automatically by default")


def add_picture_options(parser: ArgumentParser) -> None:
    """How a folder is read; see `labutils.folder`."""
    parser.add_argument(
        "--skip-unreadable", action="store_true", help="go on without damaged pictures, and name them"
    )
    parser.add_argument(
        "--labels", metavar="CSV", help="file names and labels, instead of one folder per class"
    )
    parser.add_argument(
        "--groups", metavar="RULE", help="what belongs together: a column of the CSV, or a regular expression"
    )


def add_fit_option(parser: ArgumentParser) -> None:
    """How pictures become square; a saved classifier knows that of its training."""
    parser.add_argument(
        "--fit", choices=("crop", "pad", "squash"), help="keep the centre (the default), or the whole picture"
    )


@contextmanager
def on_device(name: str | None) -> Iterator[None]:
    """Let `pick_device` choose this one inside the block. Raises ValueError where it is not there."""
    before = os.environ.get("LAB_DEVICE")
    try:
        if name is not None:
            os.environ["LAB_DEVICE"] = str(pick_device(name))
        yield
    finally:
        if before is None:
            os.environ.pop("LAB_DEVICE", None)
        else:
            os.environ["LAB_DEVICE"] = before


def reading_options(arguments: Namespace) -> dict:
    """Those options of `add_picture_options` that were given, as `folder` takes them."""
    given = {name: getattr(arguments, name, None) for name in ("skip_unreadable", "fit", "labels", "groups")}
    return {name: value for name, value in given.items() if value}


def pictures_of(path: str, arguments: Namespace, **options) -> Pictures:
    """The folder at ``path``, read as the options of `add_picture_options` say."""
    if not path:
        raise ValueError("The name of the folder is empty: give the folder of your pictures")
    return Pictures.at(path, **options, **reading_options(arguments))


# What messages advise to whoever calls the lab from Python
IN_THE_SHELL = {"skip_unreadable=True": "--skip-unreadable", 'labels="labels.csv"': "--labels labels.csv"}


def for_the_shell(message: str) -> str:
    """The message with options spelled as on the command line.

    >>> for_the_shell("Repair them, or leave them out with skip_unreadable=True")
    'Repair them, or leave them out with --skip-unreadable'
    """
    for here, there in IN_THE_SHELL.items():
        message = message.replace(here, there)
    return message


def ended(action: Callable[[], None], kept: str = "") -> int:
    """Do it. Returns the exit code: 0, 1 after one line that says what is wrong, or 130 after Ctrl-C.

    ``kept`` is what to say after Ctrl-C of what is not lost.
    """
    try:
        action()
    except (ValueError, OSError, RuntimeError) as error:
        print(f"\n{type(error).__name__}: {for_the_shell(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. {kept}".rstrip(), file=sys.stderr)
        return 130
    return 0
