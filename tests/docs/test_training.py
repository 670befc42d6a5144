"""docs/training.md: its longer LSegDiff has as many image-conditional steps as LDSeg, and its command runs with it."""

from benchmarks.store.config import TrainingConfig
from tests.docs import checkout
from tests.docs.examples import commands, files, put

DOCUMENT = "docs/training.md"


def test_its_longer_method_is_trained_by_its_command(tmp_path):
    assert list(files(DOCUMENT)) == ["conf/method/lsegdiff_long.yaml"]
    folder = checkout.copy(tmp_path / "checkout")
    put(DOCUMENT, folder)
    (command,) = (one for one in commands(DOCUMENT) if any("lsegdiff_long" in word for word in one.words))
    ours = [word for word in command.words if not word.startswith(("datasets=", "paths.data="))]
    words = [*ours, "datasets=[phantom_echo]", "seeds=[0]"]
    small = checkout.small(command._replace(words=words))
    # Without the steps of tests, which would go before those of the method.
    words = [word for word in small.words if not word.startswith("training.steps=")]
    (answer,) = checkout.run(folder, [small._replace(words=[*words, "action=plan"])])
    assert answer.code == 0, answer.text
    assert "lsegdiff_long on phantom_echo, seed 0" in answer.text and "1250 steps" in answer.text
    assert TrainingConfig(steps=1250, first_stage=0.2).stage_steps(2) == (250, 1000)
