"""pandas and scikit-learn on predictions and labels: run by `bench.labels` in an environment of their own.

`labels_peers.py ROWS ROUNDS` prints one line of JSON: [what, value, unit] each. Imports nothing of ours. What a batch
job does at once: a merge, and the figures that are read of it. Wall time, the best of several rounds.
"""

import json
import sys
import time

import numpy as np
import pandas
from sklearn import metrics


def main() -> None:
    rows, rounds = int(sys.argv[1]), int(sys.argv[2])
    seeded = np.random.default_rng(rows)
    keys = np.char.add("request-", np.arange(rows).astype("U8"))
    predicted = pandas.DataFrame({"id": keys, "score": seeded.random(rows)})
    told = pandas.DataFrame({"id": seeded.permutation(keys), "label": seeded.integers(0, 2, rows)})
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        joined = predicted.merge(told, on="id", validate="one_to_one")
        assert len(joined) == rows
        metrics.confusion_matrix(joined["label"], joined["score"] > 0.5)
        metrics.roc_auc_score(joined["label"], joined["score"])
        metrics.brier_score_loss(joined["label"], joined["score"])
        best = min(best, time.perf_counter() - began)
    print(json.dumps([[f"pandas merge and scikit-learn, {rows:,} at once", rows / best, "labels/s"]]))


if __name__ == "__main__":
    main()
