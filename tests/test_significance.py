"""The report's test of a difference and the leaderboard's agree, but near the border of 5%: docs/figures.md says why there are two."""

import numpy as np

from gongbao.counts import Counts
from gongbao.leaderboard.ranking import Resampled, better
from gongbao.metrics import DocumentCounts
from gongbao.resampling import Resamples, paired_difference

DRAWS = 2000


def system(random, accuracy):
    """Eighty documents of some spans, each found with about that probability."""
    sizes = np.random.default_rng(7).integers(5, 60, size=80)
    found = random.binomial(sizes, np.clip(accuracy + random.normal(0, 0.05, size=80), 0, 1))
    return [
        DocumentCounts(f"d{n}", {"A": Counts(int(tp), int(size - tp), int(size - tp))}, {}, Counts())
        for n, (size, tp) in enumerate(zip(sizes, found, strict=True))
    ]


def spans(document):
    return document.spans["A"]


def test_both_tests_of_a_difference_say_the_same_but_near_the_border():
    random = np.random.default_rng(0)
    resamples = Resamples(80, DRAWS)
    apart, verdicts = [], []
    for _ in range(150):
        one, other = system(random, 0.85), system(random, 0.85 - random.uniform(0, 0.04))
        draws = [
            Resampled(name, [run], resamples).f1(spans) for name, run in (("one", one), ("other", other))
        ]
        by_board = better(*draws) or better(*draws[::-1])
        by_report = paired_difference([spans(d).row for d in one], [spans(d).row for d in other], n=DRAWS)
        verdicts.append(by_board)
        if by_board != by_report.significant:
            apart.append(by_report.p)
    assert 40 < sum(verdicts) < 110
    assert len(apart) <= 6
    assert all(0.03 < p < 0.08 for p in apart), apart
