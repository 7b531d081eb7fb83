"""Whether network and pictures fit together, asked before any work."""

from labutils.data import Domain
from labutils.networks.groups import LayerGroups


def require_fitting(model: LayerGroups, domain: Domain) -> None:
    """Raise TypeError for another kind of model or pictures, and ValueError for more classes than outputs."""
    if not isinstance(model, LayerGroups):
        raise TypeError(
            f"The model is a {type(model).__name__}, not a network of named groups: make one with "
            "build_feature_extractor, or cut your own into LayerGroups"
        )
    if not isinstance(domain, Domain):
        raise TypeError(
            f"The pictures are given as {type(domain).__name__}, not as a Domain: open them with load or folder"
        )
    if len(domain.classes) > (outputs := model.head[-1].out_features):
        raise ValueError(
            f"{domain.name} has {len(domain.classes)} classes but the head only {outputs} outputs: "
            f"build the model with num_classes={len(domain.classes)}"
        )
