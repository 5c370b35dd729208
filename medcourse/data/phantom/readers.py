"""Tables of readers, report labelers and models who judge the same studies, with the truth that none of them sees.

The tables have the names and columns of the CheXpert test labels. Every study has a hidden clarity per finding that all
readers share, so that they err on the same studies, as readers do; each reader has an own sensitivity and specificity
per finding (signal detection: Green and Swets 1966). The reference standard is the majority of five readers: close to the truth, and not the truth.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.data.phantom.canvas import stream

# Shares of positive studies in the CheXpert test labels' majority vote. "No Finding" follows from the others.
PREVALENCE = {
    "Enlarged Cardiomediastinum": 0.50,
    "Cardiomegaly": 0.30,
    "Lung Opacity": 0.53,
    "Lung Lesion": 0.03,
    "Edema": 0.16,
    "Consolidation": 0.07,
    "Pneumonia": 0.04,
    "Atelectasis": 0.30,
    "Pneumothorax": 0.03,
    "Pleural Effusion": 0.21,
    "Pleural Other": 0.02,
    "Fracture": 0.02,
    "Support Devices": 0.52,
}
FINDINGS = ["No Finding", *PREVALENCE]
JUDGED_BY_MODELS = ["Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion"]
VOTERS = ["bc1", "bc2", "bc3", "bc5", "bc7"]
BENCHMARK = ["bc4", "bc6", "bc8"]
DECIDING = ["drnet", "ihil", "jfaboy", "ngango2", "ngango3", "sensexdr", "uestc", "yww211"]
_ILL = list(range(len(PREVALENCE) - 1))  # support devices are no disease


def reader_tables(studies: int = 500, seed: int = 0) -> dict[str, pd.DataFrame]:
    """All tables by name, index ``Study``; ``truth`` is the hidden one, which the real data set cannot have.

    Args:
        studies: number of rows.
        seed: the same seed gives the same tables.

    Returns:
        ``groundtruth``, ``radiologists/...``, ``example_models/decisions/...`` and ``truth``: 0 or 1 (int64);
        ``labeler/...``: 1, 0, -1 (uncertain) or NaN (not mentioned); ``example_models/predictions/...``: 0 to 1.
    """
    rng = stream(seed, 40)
    index = pd.Index([f"PHANTOM/test/patient{n:05d}/study1" for n in range(1, studies + 1)], name="Study")
    share = np.array(list(PREVALENCE.values()))
    sickness = rng.normal(0, 0.8, (studies, 1))  # findings come together
    ill = 1 / (1 + np.exp(-(sickness + np.log(share / (1 - share)) * 1.15))) > rng.random((studies, len(share)))
    clarity = rng.normal(0, 1, ill.shape)

    def table(values: NDArray) -> pd.DataFrame:
        return pd.DataFrame(values, index, FINDINGS)

    def with_no_finding(found: NDArray) -> NDArray:
        return np.column_stack([~found[:, _ILL].any(1), found]).astype(np.int64)

    def read() -> NDArray:
        """One reader's calls: evidence above a personal bar per finding, seen with personal noise."""
        keen = rng.uniform(2.2, 3.2, len(share))
        bar = 1.2 + 0.22 * np.log((1 - share) / share) + rng.normal(0, 0.35, len(share))  # higher for what is rare
        return with_no_finding(keen * ill + 0.7 * clarity + rng.normal(0, 0.75, ill.shape) > bar)

    calls = {reader: read() for reader in (*VOTERS, *BENCHMARK)}
    votes = np.stack([calls[reader] for reader in VOTERS]).sum(0)
    tables = {"groundtruth": table((votes > len(VOTERS) // 2).astype(np.int64)), "truth": table(with_no_finding(ill))}
    tables |= {f"radiologists/groundtruth/{reader}_gt": table(calls[reader]) for reader in VOTERS}
    tables |= {f"radiologists/benchmark_radiologists/{reader}": table(calls[reader]) for reader in BENCHMARK}
    for labeler in ("chexbert", "chexpert"):
        tables[f"labeler/{labeler}_labels"] = table(_report(with_no_finding(ill), rng))
    columns = [FINDINGS.index(name) - 1 for name in JUDGED_BY_MODELS]
    for model in (*DECIDING, "desmond", "hieupham"):
        score = 2.6 * ill[:, columns] + 0.7 * clarity[:, columns] + rng.normal(0, 0.8, (studies, len(columns)))
        chance = 1 / (1 + np.exp(-(score - rng.uniform(1.4, 2.6))))
        name = f"example_models/predictions/standard/{model}_predictions"
        tables[name] = pd.DataFrame(chance, index, JUDGED_BY_MODELS)
        if model in DECIDING:
            called = (score > rng.normal(1.0, 0.15, len(columns))).astype(np.int64)
            tables[f"example_models/decisions/standard/{model}_decisions"] = pd.DataFrame(
                called, index, JUDGED_BY_MODELS
            )
    return tables


def _report(truth: NDArray, rng: np.random.Generator) -> NDArray:
    """What a labeler reads out of a report: findings present are mostly mentioned, absent ones mostly not."""
    mentioned = rng.random(truth.shape) < np.where(truth == 1, 0.75, 0.14)
    wrong = rng.random(truth.shape) < 0.06
    value = np.where(wrong, 1 - truth, truth).astype(float)
    value[rng.random(truth.shape) < 0.10] = -1
    value[~mentioned] = np.nan
    return value
