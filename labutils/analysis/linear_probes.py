"""What a linear classifier can read from the features of each group."""

import pandas as pd
import torch

from labutils.analysis.features import group_features
from labutils.data import Domain
from labutils.networks.groups import LayerGroups


def probe_depths(model: LayerGroups, domain: Domain) -> pd.DataFrame:
    """Accuracy of a linear classifier on the features of each group.

    Logistic regression on standardised features, trained on ``domain.train`` and scored on ``domain.validation``: to
    compare depths is to choose between them, and the test pictures are not for choosing.

    Returns
    -------
    DataFrame
        domain, group, channels (count), accuracy (validation, 0 to 1); shallow to deep.

    Notes
    -----
    Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes".
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ids = torch.cat([domain.train, domain.validation])
    labels, split = domain.labels[ids].numpy(), len(domain.train)
    rows = []
    for group, features in group_features(model, domain.images[ids]).items():
        x = features.numpy()
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        probe.fit(x[:split], labels[:split])
        accuracy = float(probe.score(x[split:], labels[split:]))
        rows.append({"domain": domain.name, "group": group, "channels": x.shape[1], "accuracy": accuracy})
    return pd.DataFrame(rows)
