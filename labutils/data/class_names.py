"""Classes are matched by their names: the numbers behind them depend on which folders happened to be there."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from labutils.data.domain import Domain
from labutils.data.splits import DataError


def renumbered(domain: Domain, classes: Sequence[str]) -> Domain:
    """The same pictures with labels that count along ``classes``.

    Parameters
    ----------
    domain : Domain
    classes : sequence of str
        Such as those of a network; some of them may have no pictures in the domain.

    Returns
    -------
    Domain
        The given one where nothing has to change.

    Raises
    ------
    DataError
        (a ``ValueError``) When the domain has classes of other names; the message lists them.
    """
    classes = tuple(classes)
    if domain.classes == classes:
        return domain
    if unknown := [name for name in domain.classes if name not in classes]:
        raise DataError(
            f"{domain.name} has classes that the network was not trained on: {', '.join(unknown)}. It knows "
            f"{', '.join(classes)}. Rename or leave out those classes; to train it on other classes, give it a "
            "new head first, or set model.classes = None to use the old head's outputs for them"
        )
    numbers = torch.tensor([classes.index(name) for name in domain.classes])
    return replace(domain, labels=numbers[domain.labels], classes=classes)
