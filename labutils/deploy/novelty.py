"""Is a picture unlike all that the network was trained on? Its answer, however sure, then means nothing."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FALSE_ALARMS = 0.02
FEWEST = 10  # validation pictures: fewer say nothing of how far is far


class Novelty(nn.Module):
    """Mahalanobis distance of a picture's features from the nearest class, and from where on it is unfamiliar.

    The features that the head is given are scaled to length 1; their covariance within the classes is shrunk (Ledoit
    and Wolf 2004), because there may be fewer pictures than features.

    Attributes
    ----------
    whitening : Tensor of shape (features, features)
    centres : Tensor of shape (classes, features)
        Whitened mean of each class.
    threshold : Tensor of shape ()

    Notes
    -----
    Lee et al. 2018, "A simple unified framework for detecting out-of-distribution samples and adversarial attacks",
    section 2.1; the scaling is of Mueller and Hein 2025, "Mahalanobis++". ``benchmarks/novelty.py`` measures it.
    """

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.register_buffer("whitening", torch.zeros(features, features))
        self.register_buffer("centres", torch.zeros(classes, features))
        self.register_buffer("threshold", torch.tensor(math.inf))

    @classmethod
    def fit(cls, train: Tensor, labels: Tensor, validation: Tensor) -> "Novelty | None":
        """Learn distances on training pictures, and the threshold on others.

        Parameters
        ----------
        train, validation : Tensor of shape (N, features)
        labels : Tensor of int64, shape (N,)
            Of the training pictures.

        Returns
        -------
        Novelty
            Of pictures like the validation pictures `FALSE_ALARMS` are called unfamiliar; with fewer than 49 of them
            it may be several times as many (3 to 15 % were measured with 20).
            None with too few of them, where every class has one training picture, or if all features are equal.
        """
        from sklearn.covariance import LedoitWolf

        known, row = labels.unique(return_inverse=True)
        if len(validation) < FEWEST or len(train) <= len(known):
            return None
        train = F.normalize(train.double(), dim=1)
        centres = torch.stack([train[row == i].mean(0) for i in range(len(known))])
        spread = LedoitWolf(assume_centered=True).fit((train - centres[row]).numpy())
        if not spread.covariance_.any():
            return None
        whitening = torch.linalg.cholesky(torch.from_numpy(spread.precision_))
        novelty = cls(train.shape[1], len(known))
        novelty.whitening.copy_(whitening)
        novelty.centres.copy_(centres @ whitening)
        # A few at a time: pictures × classes × features may be more than there is memory.
        distances = torch.cat([novelty(some) for some in validation.split(16)])
        novelty.threshold.fill_(upper_bound(distances.double()))
        return novelty

    def forward(self, features: Tensor) -> Tensor:
        """Distance from the nearest class, shape (N,)."""
        whitened = F.normalize(features, dim=1) @ self.whitening
        return (whitened[:, None] - self.centres).square().sum(2).amin(1).sqrt()


def upper_bound(distances: Tensor) -> float:
    """What one more distance of the same kind exceeds in `FALSE_ALARMS` of all cases."""
    from scipy.stats import t

    count, ordered = len(distances), distances.sort().values
    rank = math.ceil((1 - FALSE_ALARMS) * (count + 1))  # as in split conformal prediction
    if rank <= count:
        return float(ordered[rank - 1])
    # Too few for that: where the next one of a normal distribution lies, but not below what was seen.
    further = t.ppf(1 - FALSE_ALARMS, count - 1) * math.sqrt(1 + 1 / count)
    return max(float(ordered[-1]), float(distances.mean() + further * distances.std()))
