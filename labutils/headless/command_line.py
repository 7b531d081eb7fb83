"""``python -m labutils``: train on a folder of pictures, predict new ones, report how good it is; grade handed-in pages."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from labutils.headless.shared_options import (
    add_device_option,
    add_fit_option,
    add_network_options,
    add_picture_options,
    ended,
    on_device,
    pictures_of,
)

IMAGE_SIZE = 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code."""
    given = _parser().parse_args(arguments)
    return ended(lambda: given.run(given), given.kept)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m labutils", description=__doc__.split(": ")[1])
    parser.set_defaults(kept="Nothing was saved: the same command starts over.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="fine-tune a network on a folder of pictures, and save it")
    train.add_argument(
        "pictures", metavar="PICTURES", help="one folder per class, or train/, val/, test/ with such folders"
    )
    train.add_argument(
        "--save",
        type=Path,
        required=True,
        metavar="FILE",
        help="the classifier, ending in .safetensors; the report goes beside it",
    )
    train.add_argument(
        "--minutes", type=float, default=3, help="for choosing, training and report (%(default)g)"
    )
    train.add_argument("--seed", type=int, help="which pictures are for training, validation and test (0)")
    add_network_options(train)
    add_picture_options(train)
    add_fit_option(train)
    train.set_defaults(run=_train)

    predict = commands.add_parser("predict", help="name what is on new pictures")
    predict.add_argument("network", metavar="FILE", help="from train --save")
    predict.add_argument("new", metavar="NEW", nargs="+", help="pictures and folders")
    predict.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the predictions there instead of printing them"
    )
    predict.add_argument(
        "--top", type=int, default=1, metavar="N", help="how many classes to name (%(default)d)"
    )
    add_device_option(predict)
    predict.set_defaults(run=_predict)

    report = commands.add_parser("report", help="evaluate a saved classifier, and write its page")
    report.add_argument("network", metavar="FILE", help="from train --save")
    report.add_argument(
        "pictures",
        metavar="PICTURES",
        help="those of the training (their test part counts), or others with --all",
    )
    report.add_argument(
        "--all", action="store_true", help="none of the pictures was trained on: test on all of them"
    )
    report.add_argument(
        "--html", type=Path, metavar="FILE", help="where to write the page, instead of beside the network"
    )
    report.add_argument("--seed", type=int, help="that of train (0)")
    add_device_option(report)
    add_picture_options(report)
    report.set_defaults(run=_report)

    grade = commands.add_parser("grade", help="check the exercises of handed-in pages")
    grade.add_argument(
        "folder", type=Path, metavar="FOLDER", help="a folder a student, or files such as alice_03.ipynb"
    )
    grade.add_argument(
        "--csv", type=Path, metavar="FILE", help="the table, a row a student (FOLDER/grades.csv)"
    )
    grade.add_argument("--minutes", type=float, default=10, help="time limit of one page (%(default)g)")
    grade.set_defaults(run=_grade, kept="The table holds the pages that were checked.")
    return parser


def _seed(given: argparse.Namespace) -> int:
    from labutils.runtime.seeds import default_seed

    return default_seed() if given.seed is None else given.seed


def _train(given: argparse.Namespace) -> None:
    from labutils.headless.own_pictures import train

    seed = _seed(given)
    with on_device(given.device):
        train(
            pictures_of(given.pictures, given, seed=seed),
            given.save,
            minutes=given.minutes,
            backbone=given.backbone,
            image_size=IMAGE_SIZE if given.image_size is None else given.image_size,
            seed=seed,
        )


def _predict(given: argparse.Namespace) -> None:
    from labutils.headless.own_pictures import predict

    with on_device(given.device):
        predict(given.network, given.new, given.csv, given.top)


def _report(given: argparse.Namespace) -> None:
    from labutils.headless.own_pictures import report

    with on_device(given.device):
        report(
            given.network,
            pictures_of(given.pictures, given, seed=_seed(given)),
            given.html,
            whole=given.all,
        )


def _grade(given: argparse.Namespace) -> None:
    from labutils.headless.grade import grade

    grade(given.folder, given.csv or given.folder / "grades.csv", minutes=given.minutes)
