"""Masks and other annotations that are pictures themselves: found beside the pictures that they belong to, and left out."""

import os
import re
from collections.abc import Iterable

from labutils.data.layouts.parts import BESIDE, tokens
from labutils.data.layouts.tree import Node
from labutils.runtime.words import listed

_FOLDERS = {
    "mask",
    "masks",
    "annotation",
    "annotations",
    "segmentation",
    "segmentations",
    "segmap",
    "segmaps",
}
_FOLDERS |= {"trimap", "trimaps", "gt", "groundtruth", "truth", "label", "labels"}
_WITH = {"seg", "ground", "binary", "instance", "semantic", "png", "lung", "lesion"}
_AROUND = BESIDE | {"original", "raw", "train", "val", "test"}
_OF_A_FILE = re.compile(
    r"(?i)(.+?)[ _-]*(mask|masks|seg|segmentation|gt|groundtruth|annotation|trimap)[ _-]*\d*$"
)


def leave_annotations_out(root: Node, notes: list[str], classes: Node | None = None) -> None:
    """Take annotations out of the tree, and say so.

    Left out are folders with names such as ``masks`` that stand beside a folder such as ``images``, or beside pictures that
    their files are named after (``mask`` alone may be a class beside ``no_mask``: it is left out beside ``images`` or the
    pictures themselves only); and files such as ``1_mask.png`` beside ``1.png``.

    Parameters
    ----------
    root : Node
        Changed in place.
    classes : Node, optional
        Whose folders are classes whatever their names.
    """
    left: list[tuple[str, int]] = []
    _prune(root, classes, left)
    if left:
        places = listed([place for place, _ in left])
        count = sum(count for _, count in left)
        notes.append(
            f"Left out, for they are masks or annotations of other pictures: {places} ({count} pictures)"
        )


def _prune(node: Node, classes: Node | None, left: list[tuple[str, int]]) -> None:
    if node is not classes:
        for child in [child for child in node.filled if is_annotation(child.name)]:
            if _holds_their_pictures(node, child):
                node.children.remove(child)
                left.append((f"{child.place.replace(os.sep, '/')}/", child.total))
    stems = _stems(node.pictures)
    masks = [file for file in node.pictures if (of := _OF_A_FILE.match(_stem(file))) and of[1] in stems]
    if masks:
        node.pictures = [file for file in node.pictures if file not in set(masks)]
        left.append(
            (f"{masks[0]} and the like in {node.place.replace(os.sep, '/') or node.name}/", len(masks))
        )
    for child in node.children:
        _prune(child, classes, left)


def is_annotation(name: str) -> bool:
    """Whether a folder's name stands for annotations.

    >>> is_annotation("Segmentation_Masks"), is_annotation("labels"), is_annotation("without_mask")
    (True, True, False)
    """
    words = {token for token in map(str.lower, tokens(name)) if not token.isdigit()}
    return bool(words & _FOLDERS) and words <= _FOLDERS | _WITH


def _holds_their_pictures(node: Node, masks: Node) -> bool:
    """Whether the pictures that the masks belong to are in the folder beside them, or around them."""
    others = [other for other in node.filled if other is not masks]
    words = [set(map(str.lower, tokens(other.name))) for other in others]
    if any(some & BESIDE and some <= _AROUND for some in words):
        return True
    around = _stems(node.pictures)
    if set(map(str.lower, tokens(masks.name))) - {"mask", "label"}:
        around |= _stems(file for other in others for file in other.files())
    named = [_stem(file) for file in masks.files()]
    same = sum(stem in around or bool((of := _OF_A_FILE.match(stem)) and of[1] in around) for stem in named)
    return 2 * same > len(named)


def _stem(file: str) -> str:
    return os.path.splitext(os.path.basename(file))[0]


def _stems(files: Iterable[str]) -> set[str]:
    return {_stem(file) for file in files}
