"""Two processes under torchrun do what one does, and only the first of them writes and speaks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from medcourse.training.checkpoint import FILE
from tests.conftest import HANGS
from tests.test_checkpoint import TRAIN, VAL, make, sampler

SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
from tests.test_checkpoint import TRAIN, VAL, make, sampler
from tests.test_distributed import plain

torch.set_num_threads(1)
folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
trainer = make(folder / "checkpoint", plain(), epochs=epochs, augment=None, sampler=sampler(), precision="fp32")
run = trainer.fit(TRAIN, VAL)
rank = os.environ["RANK"]
told = {"history": run.history.reset_index().to_dict("list"), "p": trainer.predict(VAL).scores.tolist()}
(folder / f"rank{rank}-{epochs}.json").write_text(json.dumps(told))
"""


def plain():
    """Without batch statistics and dropout, which see each process's own part of a batch."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 2))


def torchrun(folder: Path, epochs: int) -> str:
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = folder / "train.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, *command, str(script), str(folder), str(epochs)],
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_two_processes_do_what_one_does(tmp_path: Path):
    one = make(None, plain(), epochs=4, augment=None, sampler=sampler(), precision="fp32")
    history = one.fit(TRAIN, VAL).history
    torchrun(tmp_path, 2)
    said = torchrun(tmp_path, 4)
    assert said.count("2 of 4 epochs done, going on") == 1
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == [FILE]
    told = [json.loads((tmp_path / f"rank{rank}-4.json").read_text()) for rank in (0, 1)]
    assert told[0]["p"] == told[1]["p"]
    assert np.allclose(told[0]["p"], one.predict(VAL).scores, atol=1e-4)
    for rank in told:
        both = pd.DataFrame(rank["history"]).set_index("epoch")
        for column in ("train_loss", "val_loss", "val_auroc", "val_accuracy"):
            assert np.allclose(both[column], history[column], rtol=1e-3), column
