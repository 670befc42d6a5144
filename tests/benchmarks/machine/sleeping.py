"""A process of a training on several devices that says it is there and then does nothing; imports little."""

import os
import time


def member(rank, sender, task):
    """In place of `together._member`."""
    (task.checkpoint.parent / f"{rank}.pid").write_text(str(os.getpid()))
    time.sleep(600)
    task.checkpoint.write_text("of a run that does not own it any more")
