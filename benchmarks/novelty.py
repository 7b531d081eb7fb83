"""How often a finished classifier calls pictures unfamiliar: of its own kind (false alarms) and of others (hits).

python benchmarks/novelty.py [--quick]

For each domain of the lab a classifier is trained on few labels, the head alone or the last groups too, and packed.
False alarms are counted on test pictures of the domain, hits on test pictures of the other two. A second row a
training has but 20 validation pictures to learn from what is far.
"""

import argparse
from dataclasses import replace

import torch
from provenance import provenance, save

from labutils import Domain, LayerGroups, Settings, build_feature_extractor, fit, load, partial_finetune
from labutils.deploy import pack
from labutils.runtime.progress import progress_bar

LABELS = {"textures": 60, "solar": 500, "digits": 300}
MOST = 400  # test pictures asked about
FEW = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="one small size, head alone; a trial, not written"
    )
    quick = parser.parse_args().quick
    origin, rows = provenance(), []
    trainings = [
        (size, groups, name)
        for size in ((32,) if quick else (64, 128))
        for groups in ((1,) if quick else (1, 3))
        for name in LABELS
    ]
    for size, groups, name in progress_bar(trainings, "Training"):
        domains = {each: load(each, size) for each in LABELS}
        domain = domains[name].labelled(LABELS[name], seed=0)
        model = trained(domain, groups)
        for validation in (domain.validation, some(domain.validation, FEW)):
            classifier = pack(model, replace(domain, validation=validation))
            shares = {
                each: float(classifier.predict(other.images[some(other.test, MOST)])["unfamiliar"].mean())
                for each, other in domains.items()
            }
            rows.append(
                {
                    "trained_on": name,
                    "image_size": size,
                    "groups_trained": groups,
                    "labels": LABELS[name],
                    "validation": len(validation),
                    "false_alarms": shares.pop(name),
                    **{f"hits_{each}": share for each, share in shares.items()},
                }
            )
    save("novelty", rows, origin, keep=not quick, most_test_pictures=MOST)


def trained(domain: Domain, groups: int) -> LayerGroups:
    """EfficientNet-Lite0 after eight epochs, head alone or a linear probe followed by its last groups."""
    model = build_feature_extractor(num_classes=len(domain.classes))
    stages = partial_finetune(model, groups, how="linear probe first", epochs=8, base_lr=1e-2)
    fit(model, domain, Settings(epochs=8), stages)
    return model


def some(ids: torch.Tensor, most: int) -> torch.Tensor:
    """At most so many of them, at random, always the same."""
    return ids[torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))[:most]]


if __name__ == "__main__":
    main()
