"""The table of the benchmark on folders: what its columns say of turns that are known."""

import pandas as pd
import pytest

from benchmarks.folders import write_jpegs
from benchmarks.own_pictures import CONTENDERS, compare
from labutils import folder


def test_ratios_and_leads():
    rows = [
        {
            "domain": "solar",
            "contender": contender,
            "round": seed,
            "seconds": 10 * seconds,
            "cpu_seconds": seconds,
        }
        | {"accuracy": accuracy + 0.01 * seed}
        for seed in range(3)
        for contender, seconds, accuracy in zip(CONTENDERS, (20, 60), (0.8, 0.75), strict=True)
    ]
    table = compare(pd.DataFrame(rows))
    lab, fastai = table.itertuples()
    assert lab.times_faster_seconds == lab.times_faster_cpu_seconds == 3 and pd.isna(
        fastai.times_faster_seconds
    )
    assert (lab.lead, lab.low, lab.high) == pytest.approx(
        (0.05, 0.05, 0.05)
    ) and lab.accuracy == pytest.approx(0.81)


def test_a_domain_written_out_is_found_again(tiny_domain, tmp_path):
    files = write_jpegs(tiny_domain, tiny_domain.train, tmp_path / "patterns")
    again = folder(tmp_path / "patterns", 32)
    assert again.classes == tuple(sorted(tiny_domain.classes)) and len(again.labels) == len(files) == 30
    names = [tiny_domain.classes[label] for label in tiny_domain.labels[tiny_domain.train].tolist()]
    assert [file.parent.name for file in files] == names
