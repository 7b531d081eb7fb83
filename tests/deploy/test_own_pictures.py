"""From folders on a disk to an answer for a new photograph, and what must not go wrong on the way."""

import numpy as np
import pytest
from PIL import Image

import labutils as lab

COLOURS = {"a": (200, 40, 40), "b": (40, 200, 40), "c": (40, 40, 200)}
QUICK = lab.Settings(epochs=12, base_lr=2e-2, keep_best=False)


def picture(colour, seed: int, size=(48, 48)) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, 8, (*size[::-1], 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype("uint8"))


def on_disk(root, names, count: int, first: int = 0) -> lab.Domain:
    for name in names:
        (root / name).mkdir(parents=True)
        for i in range(first, first + count):
            picture(COLOURS[name], 1000 * ord(name) + i).save(root / name / f"{i}.png")
    return lab.folder(root, 32)


@pytest.mark.slow
def test_a_new_users_path(tmp_path):
    pictures, network = on_disk(tmp_path / "known", "abc", 20), lab.build_feature_extractor(num_classes=3)
    lab.fit(network, pictures, QUICK)
    file = lab.save(network, pictures, tmp_path / "colours.safetensors")
    picture(COLOURS["b"], 1, (60, 48)).save(tmp_path / "new.jpg")
    classifier = lab.open_classifier(file)
    table = classifier.predict([tmp_path / "new.jpg", picture(COLOURS["c"], 2, (48, 70))], top=2)
    assert table["class"].tolist() == ["b", "c"]
    assert (table["probability"] > table["probability 2"]).all()

    later = on_disk(tmp_path / "later", "ac", 20, first=500)  # labels 0 and 1, outputs 0 and 2
    seen = lab.evaluate(network, later)
    answers = classifier.predict(later.images[later.test])["class"].tolist()
    truth = [later.classes[label] for label in later.labels[later.test].tolist()]
    right = sum(answer == name for answer, name in zip(answers, truth, strict=True))
    assert seen.accuracy == pytest.approx(right / len(truth)) and right > len(truth) / 2
    assert seen.confusion.loc["c"].sum() == truth.count("c")


@pytest.mark.slow
def test_a_rare_class_that_is_never_predicted_is_named(tmp_path):
    for name, count, level in (("common", 114, 120), ("rare", 6, 125)):
        (tmp_path / name).mkdir(parents=True)
        for i in range(count):
            picture((level, 120, 120), i * 7 + len(name)).save(tmp_path / name / f"{i}.png")
    pictures, network = lab.folder(tmp_path, 32), lab.build_feature_extractor(num_classes=2)
    lab.fit(network, pictures, lab.Settings(epochs=1, base_lr=1e-3, keep_best=False))
    seen = lab.evaluate(network, pictures)
    assert seen.accuracy > 0.9 and seen.balanced_accuracy == 0.5
    assert seen.per_class["recall"].tolist() == [1, 0]
    assert "Never predicted: rare" in seen.report()
