"""What the folders of a data set mean: parts (training, validation, test), classes, or neither."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from labutils.data.layouts.parts import BESIDE, only, part_of, settle_parts, tokens
from labutils.data.layouts.tree import Found, Node, note_other_files
from labutils.data.splits import DataError
from labutils.runtime.words import listed

_NO_CLASS = {"pred", "preds", "prediction", "predictions", "predict", "annotation", "annotations", "metadata"}
_NO_CLASS |= {"unlabelled", "unlabeled", "unlabelled_images", "unlabeled_images", "unsup", "unsupervised"}
_CONTAINERS = BESIDE | {"mask", "masks", "label", "labels", "raw", "original", "crops"}
LAYOUT = """Expected is one folder per class, with at least two classes:
    {name}/cats/first.jpg
    {name}/cats/second.png
    {name}/dogs/third.jpg
or such folders inside {name}/train, {name}/val and {name}/test, or pictures with a table: labels="labels.csv\""""


def look_through(node: Node, stop: Iterable[str] = ()) -> Node:
    """Go down while there is but one folder with pictures, and folders with pictures in it (``flowers/flowers``)."""
    while len(node.filled) == 1 and not node.pictures:
        child = node.filled[0]
        few_beside = not child.pictures or (len(child.filled) > 1 and 10 * len(child.pictures) <= child.total)
        if not child.filled or not few_beside or child.name in stop:
            break
        node = child
    return node


def arrange(root: Node, parts: Mapping | str | bool | None = None) -> Found:
    """Say which class, and which part if any, each picture below a folder belongs to.

    Parameters
    ----------
    root : Node
    parts : "test", False or a mapping, optional
        As in `labutils.data.folder`.

    Raises
    ------
    DataError
        Where no classes are found, or it cannot be known what is a part and what a class.
    """
    notes: list[str] = []
    top = look_through(root)
    nodes = _asked_for(root, parts) if isinstance(parts, Mapping) else None
    if nodes is None:
        top, nodes = (top, None) if parts is False else _given_parts(root, top, notes)
    if nodes is None and parts is None and (pairs := _parts_in_names(top)):
        pass
    elif nodes is None:
        if parts is None and top is not root and part_of(top.name)[1]:
            notes.append(only(f"{top.name}/", part_of(top.name)[0]))
        pairs = [(child, child.name, None) for child in _class_folders(top, root, notes)]
        inner = {part_of(grandchild.name) for child, *_ in pairs for grandchild in child.filled}
        if inner and {(0, True), (2, True)} & inner and all(strict for _, strict in inner):
            pairs = [  # the other way round: cats/train, cats/test
                (inside, name, part_of(inside.name)[0]) for child, name, _ in pairs for inside in child.filled
            ]
    else:
        pairs = _classes_in_parts(nodes, notes)
    _note_strays([top, *(node for some in (nodes or {}).values() for node in some)], notes)
    found = _collect(root, pairs, notes)
    if parts == "test":
        found.parts = [2] * len(found.names)
    elif found.parts is not None:
        found.parts = settle_parts(found.parts, notes, nodes)
    return found


def _asked_for(root: Node, parts: Mapping) -> dict[int, list[Node]]:
    """Folders that the reader names, by part."""
    nodes: dict[int, list[Node]] = {}
    for name, places in parts.items():
        number = part_of(str(name))[0]
        if number is None:
            raise DataError(f"parts has no {name!r}: its names are train, validation and test")
        for place in [places] if isinstance(places, str) else places:
            node = root
            for step in str(place).replace("\\", "/").strip("/").split("/"):
                node = next((child for child in node.children if child.name == step), None)
                if node is None or not node.total:
                    raise DataError(
                        f"parts names the folder {place!r}, which is not there or holds no pictures"
                    )
            nodes.setdefault(number, []).append(node)
    return nodes


def _given_parts(root: Node, top: Node, notes: list[str]) -> tuple[Node, dict[int, list[Node]] | None]:
    """Folders that are parts by their names and by what they share, or None where the folders are classes."""
    inside = {child: {folder.name for folder in look_through(child).filled} for child in top.filled}
    named = {child: part_of(child.name) for child in inside}
    flat = [child for child in inside if not inside[child]]
    strict = [child for child, (part, only) in named.items() if only]
    holding = [child for child, (part, _) in named.items() if part is not None and inside[child]]
    distinct = {named[child][0] for child in holding} | {named[child][0] for child in flat if child in strict}
    if len(distinct) < 2:
        holding = [child for child in holding if child in strict]
    classlike = [child for child in flat if child not in strict and not _no_class(child)]
    if holding and (len(distinct) > 1 or len(classlike) < 2):
        nodes: dict[int, list[Node]] = {}
        for child in holding:
            nodes.setdefault(named[child][0], []).append(child)
        classes = set().union(*(inside[child] for child in holding))
        alike = [child for child in inside if child not in holding and inside[child] & classes]
        if 0 not in nodes and len(alike) == 1:
            nodes[0] = alike
        used = {child for some in nodes.values() for child in some}
        if left := [child for child in top.children if child not in used and not child.empty]:
            named_out = ", ".join(f"{child.name}/ ({child.total} pictures)" for child in left)
            notes.append(f"Left out, because they hold no class folders or are not a part: {named_out}")
        return top, nodes
    if strict and len(strict) == len(inside) and len(flat) == len(inside):
        raise DataError(
            f"{root.name} has {_named(strict)} but no class folders inside: sort the pictures into one folder per "
            'class, or give a table with labels="labels.csv"'
        )
    if len({named[child][0] for child in strict}) > 1:
        raise DataError(
            f"{root.name} has {_named(strict)} without class folders beside {_named(set(inside) - set(strict))}: move "
            "them away, or say parts=False if they are classes as well"
        )
    shared = set.intersection(*inside.values()) - _CONTAINERS if len(inside) > 1 else set()
    mixed = any(child.pictures for child in inside)
    if len(shared) > 1 and not mixed and not any(part_of(name)[1] for name in shared):
        raise DataError(
            f"The folders {_named(inside)} in {root.name} all hold {_named(shared)}, as parts do that hold the same "
            f"classes. If they are parts, rename them train and test, or say which: parts={{'train': {top.filled[0].name!r}, 'test': "
            f"{top.filled[-1].name!r}}}; if they are the classes, say parts=False"
        )
    for child in strict if len(inside) > 1 else ():
        notes.append(
            f"{child.name}/ is taken for a class, since it lies among {len(inside) - 1} other folders of pictures"
        )
    return top, None


def _parts_in_names(top: Node) -> list[tuple[Node, str, int]] | None:
    """Class and part of folders that are named after both (``train_cats``), each class in several parts."""
    pairs = []
    for child in top.filled:
        part, rest = part_of(child.name)[0], tokens(child.name)
        pairs.append((child, "_".join(token for token in rest if part_of(token)[0] is None), part))
    times = Counter(name for _, name, _ in pairs)
    several = len({part for *_, part in pairs}) > 1 and min(times.values(), default=0) > 1 and "" not in times
    return pairs if several and len(times) > 1 and all(part is not None for *_, part in pairs) else None


def _class_folders(top: Node, root: Node, notes: list[str]) -> list[Node]:
    layout = LAYOUT.format(name=root.name)
    if not top.filled:
        other = sum(count for count in root.other_files().values())
        what = (
            f"holds {root.total} pictures but"
            if root.total
            else f"holds no picture ({other} other files) and"
        )
        raise DataError(f"{root.name} {what} no class folders. {layout}")
    outside = [child for child in top.filled if _no_class(child)]
    if len(top.filled) - len(outside) < 2:
        outside = []
    outside += [child for child in top.children if not child.total and not child.empty]
    if top.links:
        notes.append(
            f"Left out, because they are links to folders that are here already: {listed(top.links)}"
        )
    _note_no_classes(outside, notes)
    return [child for child in top.children if child not in outside]


def _note_no_classes(nodes: list[Node], notes: list[str]) -> None:
    if nodes:
        described = ", ".join(f"{node.name}/ ({_content(node)})" for node in nodes)
        notes.append(f"Left out, because they are not classes: {described}")


def _content(node: Node) -> str:
    others = ", ".join(f"{count} {ending}" for ending, count in node.other_files().most_common(3))
    unread = f", {others}, which Pillow does not open" if others and not node.total else ""
    return f"{node.total} pictures{unread}"


def _no_class(node: Node) -> bool:
    return re.sub(r"[\s-]", "_", node.name.lower()).strip("_0123456789") in _NO_CLASS


def _classes_in_parts(nodes: dict[int, list[Node]], notes: list[str]) -> list[tuple[Node, str, int]]:
    every = [node for some in nodes.values() for node in some]
    known = {child.name for node in every if len(node.filled) > 1 for child in node.filled}
    inside = {node: look_through(node, known) for node in every}
    trained = {child.name for node in nodes.get(0, every) for child in inside[node].filled}
    spelled = {name.casefold(): name for name in trained}  # Cat in train, cat in val
    children = {child.name: child for node in every for child in inside[node].children}
    unread = [child for _, child in sorted(children.items()) if not child.total and child.other_files()]
    _note_no_classes([child for child in unread if child.name not in trained], notes)
    pairs = []
    for number, some in sorted(nodes.items()):
        for node in some:
            folders = inside[node].filled
            if spelled.keys().isdisjoint(child.name.casefold() for child in folders):
                notes.append(
                    f"Left out: {node.name}/ ({node.total} pictures), whose folders are no classes of training"
                )
            else:
                pairs += [
                    (
                        child,
                        child.name
                        if child.name in trained
                        else spelled.get(child.name.casefold(), child.name),
                        number,
                    )
                    for child in folders
                ]
    return pairs


def _note_strays(nodes: list[Node], notes: list[str]) -> None:
    count = sum(len(node.pictures) for node in set(nodes))
    if count:
        notes.append(f"Left out: {count} pictures beside the class folders, which belong to no class")


def _collect(root: Node, pairs: list[tuple[Node, str, int | None]], notes: list[str]) -> Found:
    classes = tuple(sorted({name for _, name, _ in pairs}))
    number = {name: label for label, name in enumerate(classes)}
    rows = sorted(
        (number[name], place.replace(os.sep, "\0"), place, part)  # folder by folder, as Path sorts
        for node, name, part in pairs
        for place in node.files()
    )
    note_other_files(sum((node.other_files() for node, *_ in pairs), Counter()), notes)
    labels, names, parts = ([row[column] for row in rows] for column in (0, 2, 3))
    return Found(names, labels, classes, None if None in parts else parts, notes)


def _named(items: Iterable) -> str:
    return listed(sorted(getattr(item, "name", item) for item in items))
