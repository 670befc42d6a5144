"""executor=submitit by its local engine, which starts jobs the way that SLURM does: lost, requeued, cancelled."""

import os
import signal
from concurrent.futures import CancelledError

import pytest

from benchmarks import runner
from benchmarks.errors import BadInput
from benchmarks.machine.needs import Needs
from benchmarks.store import leases
from benchmarks.training.stopping import OUT_OF_TIME, Stopped
from tests.benchmarks.executors.jobs import marks, wait_for

pytest.importorskip("submitit", reason="submitit is not installed: pip install -e '.[cluster]'")

from submitit.core.utils import FailedJobError

from benchmarks.executors.scheduled import JobLost, settle
from benchmarks.executors.submitit import Queue, Submitit

TARGET = "benchmarks.executors.submitit.Submitit"
GIB = 2**30


@pytest.fixture
def settings(tmp_path) -> dict:
    return {"folder": str(tmp_path / "jobs"), "cluster": "local", "cores": 1, "poll": 0.1}


def test_a_killed_job_is_sent_once_more_then_it_fails_by_name_and_the_others_go_on(tmp_path, settings, capfd):
    work = marks(tmp_path, TARGET, parallel=2, **settings)
    assert runner.run(work, ["die", "die_once", "last"]) == []
    attempts = [len((tmp_path / f"{job}.begun").read_text().split()) for job in ("die", "die_once", "last")]
    assert attempts == [2, 2, 1]
    assert "the executor lost the job (JobLost: job " in work.place("die").read_text()
    # One core each: as many threads, before PyTorch is imported.
    assert work.place("die_once").read_text().startswith("1 ") and work.place("last").read_text().startswith("1 ")
    assert capfd.readouterr().out.count("it is tried once more") == 2


def test_a_job_that_is_to_make_room_saves_a_checkpoint_is_queued_again_and_goes_on(tmp_path, settings):
    work = marks(tmp_path, TARGET)
    with Submitit(**settings) as executor:
        future = executor.submit_for(Needs(), runner.attempt, work, "train")
        wait_for(tmp_path / "train.begun")
        os.kill(int((tmp_path / "train.begun").read_text()), signal.SIGUSR2)
        assert future.result() is True
    assert (tmp_path / "train.checkpoint").read_text() == "stopped by SIGUSR2"
    assert len((tmp_path / "train.begun").read_text().split()) == 2 and work.place("train").exists()


def test_cancelled_jobs_leave_checkpoints_and_no_leases_and_those_that_wait_never_begin(tmp_path, settings):
    work = marks(tmp_path, TARGET)
    with Submitit(**settings, parallel=1) as executor:
        futures = [executor.submit(runner.attempt, work, job) for job in ("train", "later")]
        wait_for(tmp_path / "train.begun")
        executor.shutdown(wait=True, cancel_futures=True)
    assert (tmp_path / "train.checkpoint").read_text() == "stopped by SIGTERM"
    assert leases.holder(work.place("train")) is None
    with pytest.raises(Stopped):
        futures[0].result(timeout=0)
    with pytest.raises(CancelledError):
        futures[1].result(timeout=0)
    assert not (tmp_path / "later.begun").exists()


def test_a_stop_of_the_job_itself_is_a_loss_and_the_end_of_its_time_is_the_end_of_the_run():
    from concurrent.futures import Future

    for status, kind in ((OUT_OF_TIME, Stopped), (128 + signal.SIGTERM, JobLost)):
        future = Future()
        settle(future, Stopped("stopped", status), cancelled=False)
        assert isinstance(future.exception(), kind)


def test_what_a_job_asks_for_follows_from_its_estimate_unless_the_command_says_it(settings):
    with Submitit(**settings) as executor:

        def asked(needs):
            return executor._asked(needs)[:3]

        # Twice the estimate, up to the next limit; memory up to the next power of two.
        assert asked(Needs(7 * 60, 5 * GIB)) == (15, 8, False)
        assert asked(Needs(8 * 60, 4 * GIB)) == (30, 4, False)
        assert asked(Needs(3600 * 24 * 9, GIB / 3, alone=True)) == (2880, 1, True)
        assert asked(Needs()) == (15, 4, False)
    with Submitit(**settings, minutes=45, memory=1.5) as executor:
        assert executor._asked(Needs(10, 99 * GIB))[:3] == (45, 2, False)


def test_a_method_or_profile_has_resources_of_its_own_and_devices_multiply_them(settings):
    special = {"medt": {"cores": 8, "gpus": 1, "minutes": 600}, "paper": {"memory": 32}}
    with Submitit(**settings, resources=special) as executor:
        usual = executor._asked(Needs(names=("quick", "unet")))
        assert (usual.minutes, usual.memory, usual.cores, usual.gpus) == (15, 4, 1, 0)
        assert executor._asked(Needs(names=("paper", "unet"))) == usual._replace(memory=32)
        own = executor._asked(Needs(names=("paper", "medt")))
        assert own == usual._replace(cores=8, gpus=1, minutes=600), "of the two the method"
        assert executor._asked(Needs(names=("quick", "medt"), devices=2)) == own._replace(cores=16, gpus=2)
        first, second = (executor._parameters(asked) for asked in (own, usual))
        assert (first["cpus_per_task"], first["gpus_per_node"]) == (8, 1)
        assert (second["cpus_per_task"], second["gpus_per_node"]) == (1, 0), "nothing is left of the array before"


def test_settings_that_cannot_be_are_refused_by_name(settings):
    for more, words in (
        ({"cluster": "lsf"}, "executor.cluster=lsf: expected slurm or local"),
        ({"cores": 0}, "executor.cores=0: expected a whole number from 1"),
        ({"minutes": 0}, "executor.minutes=0: expected a number from 1"),
        ({"resources": {"unet": {"coers": 2}}}, "executor.resources.unet=.*expected some of cores, gpus"),
        ({"resources": {"unet": {"cores": 0}}}, "executor.resources.unet.cores=0: expected a number from 1"),
        ({"slurm": {"partitoin": "gpu"}}, "partitoin"),
    ):
        with pytest.raises(BadInput, match=words):
            Submitit(**settings | more)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("sbatch: error: invalid partition specified: gpu", BadInput),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not available", BadInput),
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller", JobLost),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", JobLost),
    ],
)
def test_what_a_cluster_refuses_ends_the_run_and_one_that_does_not_answer_is_asked_again(settings, words, kind):
    with Submitit(**settings) as executor:
        real = executor._submit

        def refused(asked, together):
            if asked.cores == 1:
                raise FailedJobError(words)
            real(asked, together)

        executor._submit = refused
        first = executor.submit_for(Needs(), os.getpid)
        second = executor.submit_for(Needs(devices=2), os.getpid)
        with pytest.raises(kind, match=words.rpartition(": ")[2]):
            first.result(timeout=60)
        assert second.result(timeout=120) > 0, "what is asked for otherwise is not lost with it"


def test_states_are_read_from_the_queue_and_what_has_left_it_is_over():
    queue = Queue()
    for name in ("7_0", "7_1", "8"):
        queue.register_job(name)
    queue._info_dict |= queue.read_info(b"7_0|RUNNING|one|None\n7_1|PENDING||Priority\n8|NODE_FAIL|two|None\n")
    done = {name: queue.is_done(name, mode="cache") for name in ("7_0", "7_1", "8")}
    assert done == {"7_0": False, "7_1": False, "8": True}
    assert queue.get_info("7_1", mode="cache")["Reason"] == "Priority"
    queue._info_dict |= queue.read_info(b"7_1|REQUEUE_HOLD||None\n")
    assert queue.is_done("7_0", mode="cache") and not queue.is_done("7_1", mode="cache")
