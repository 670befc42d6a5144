"""Jobs: what is settled is skipped, what fails is written down, what is locked is waited for, wherever they run."""

import errno
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor

import pytest
from filelock import FileLock
from omegaconf import OmegaConf

from benchmarks import runner
from benchmarks.errors import BadInput, TrialFailed, failure_of
from benchmarks.store import files as store_files
from benchmarks.store.files import write_json
from benchmarks.store.results import Store
from tests.benchmarks.files import OneFile

LOCAL = "benchmarks.executors.local.Local"


class Files(OneFile):
    """Some jobs end in their own way."""

    def do(self, job):
        with open(self.store.runs / "order", "a") as file:
            file.write(f"{job}\n")
        if job == "full":
            write_json(self.place(job), {})
        error = ENDINGS.get(job)
        if error is not None:
            raise error
        self.place(job).write_text("done")

    def fail(self, job, failure):
        if job == "hopeless":
            return False
        if job == "full":
            write_json(self.place(job), {})
        return super().fail(job, failure)


class Folders(Files):
    """Jobs that leave a folder, which an earlier run has begun."""

    def settled(self, job):
        return False

    def do(self, job):
        pass


ENDINGS = {
    "broken": OSError("no space left"),
    "refused": TrialFailed("as it was told", retry=False),
    "bad": BadInput("paths.data: is empty"),
    "interrupted": KeyboardInterrupt(),
    "hopeless": ZeroDivisionError("by zero"),
}


class Killed(ThreadPoolExecutor):
    """An executor whose worker does not come back from the job `first`, and which takes no more after that."""

    def submit(self, function, /, work, job):
        if job == "late":
            raise BrokenExecutor("no more")
        if job != "first":
            return super().submit(function, work, job)
        future = Future()
        future.set_exception(BrokenExecutor("killed"))
        return future


class Refusing(ThreadPoolExecutor):
    """An executor that cannot be started."""

    def __init__(self):
        raise RuntimeError("no cluster answers")


class Threads(ThreadPoolExecutor):
    """An executor of one's own, which keeps what it was given."""

    seen: list = []

    def submit(self, function, /, *arguments, **more):
        self.seen.append(arguments[-1])
        return super().submit(function, *arguments, **more)


@pytest.fixture
def files(tmp_path):
    """Work in a folder of its own, with the executor of that name."""
    return lambda target=LOCAL, **more: Files(
        OmegaConf.create({"executor": {"_target_": target, **more}}), Store(tmp_path)
    )


def order(work: Files) -> list[str]:
    path = work.store.runs / "order"
    return path.read_text().split() if path.exists() else []


def test_settled_jobs_are_skipped(files):
    work = files()
    work.place("b").write_text("of an earlier run")
    runner.run(work, ["a", "b", "c"])
    assert order(work) == ["a", "c"] and work.place("b").read_text() == "of an earlier run"
    runner.run(work, ["a", "b", "c"])
    assert order(work) == ["a", "c"]


@pytest.mark.parametrize("target", [LOCAL, f"{__name__}.Threads"])
def test_once_a_first_job_that_took_long_is_over_it_is_shown(files, monkeypatch, target):
    seen, shown = [], True
    work = files(target)

    def early() -> bool:
        seen.append(order(work))
        return shown

    runner.run(work, ["a", "b"], early)
    assert seen == []  # it took no time worth speaking of
    monkeypatch.setattr(runner, "EARLY_SECONDS", 0.0)
    runner.run(work, ["c"], early)
    assert seen == []  # no others are left
    runner.run(work, ["d", "e", "f"], early)
    assert len(seen) == 1 and set(seen[0]) & set("def")  # threads may finish in any order
    assert target != LOCAL or seen == [["a", "b", "c", "d"]]
    shown = False
    runner.run(work, ["g", "h", "i"], early)
    # There was nothing to show, so it was asked after the next one again; threads may be over in the same moment.
    assert len(seen) == 3 or (target != LOCAL and len(seen) == 2)


def test_where_nothing_is_left_no_executor_is_started(files):
    work = files(f"{__name__}.Refusing")
    work.place("a").write_text("of an earlier run")
    assert runner.run(work, ["a"]) == [] and runner.run(work, []) == []
    with pytest.raises(RuntimeError, match="no cluster answers"):
        runner.run(work, ["b"])


def test_a_failure_is_written_down_and_the_others_go_on(files, capsys):
    work = files()
    runner.run(work, ["broken", "refused", "a"])
    assert work.place("broken").read_text() == "OSError: no space left"
    assert work.place("refused").read_text() == "as it was told"
    assert work.place("a").read_text() == "done"
    assert "job broken failed: OSError: no space left" in capsys.readouterr().out


def test_a_failure_that_cannot_be_written_is_told_and_the_others_go_on(files, monkeypatch, capsys):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_files.os, "fsync", full)
    work = files()
    (line,) = runner.run(work, ["a", "full", "b"])
    assert line.startswith("job full: disk full: ") and "Free space and run again" in line
    assert order(work) == ["a", "full", "b"] and not work.place("full").exists()
    assert not list(work.store.runs.glob(".*.tmp"))
    assert "job full failed: disk full" in capsys.readouterr().out
    monkeypatch.undo()
    assert runner.run(work, ["full"]) == [] and work.place("full").exists()


def test_what_a_killed_run_left_half_written_is_swept_under_the_lock(files):
    work = files()
    place = work.place("folder")
    (place / "records").mkdir(parents=True)
    (place / "records" / ".c.parquet.x1.tmp").touch()
    assert runner.attempt(Folders(work.config, work.store), "folder") is True
    assert not list(place.rglob("*.tmp"))


def test_a_failure_that_no_report_could_show_ends_the_run(files):
    work = files()
    with pytest.raises(ZeroDivisionError):
        runner.run(work, ["a", "hopeless", "b"])
    assert order(work) == ["a", "hopeless"]


def test_a_worker_that_is_killed_twice_takes_its_job_with_it_and_not_the_run(files, capsys):
    work = files(f"{__name__}.Killed")
    runner.run(work, ["first", "a", "late"])
    said = capsys.readouterr().out
    assert said.count("job first: the executor lost it (BrokenExecutor: killed); it is tried once more.") == 1
    assert work.place("a").read_text() == "done"
    assert work.place("first").read_text().startswith("the executor lost the job (BrokenExecutor: killed)")
    assert work.place("late").read_text().startswith("the executor lost the job (BrokenExecutor: no more)")


@pytest.mark.parametrize("job, error", [("bad", BadInput), ("interrupted", KeyboardInterrupt)])
def test_bad_input_and_an_interruption_end_the_run_before_the_next_job_begins(files, job, error):
    work = files()
    with pytest.raises(error):
        runner.run(work, ["a", job, "b"])
    assert order(work) == ["a", job] and not work.place(job).exists()
    with FileLock(work.store.runs / f".{job}.lock", timeout=0):
        pass  # the lock was given back


def test_a_job_that_another_process_works_on_is_left_to_the_end_and_waited_for(files, monkeypatch, capsys):
    monkeypatch.setattr(runner, "ASK_AGAIN_SECONDS", 0.02)
    work = files()
    other = (
        "import sys, time; from pathlib import Path; from filelock import FileLock\n"
        "place = Path(sys.argv[1])\n"
        "with FileLock(place.with_name('.a.lock')):\n"
        "    print('locked', flush=True)\n"
        "    while not place.with_name('c').exists(): time.sleep(0.01)\n"
        "    place.write_text('by another')\n"
    )
    command = [sys.executable, "-c", other, str(work.place("a"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        runner.run(work, ["a", "b", "c"])
    assert order(work) == ["b", "c"] and work.place("a").read_text() == "by another"
    assert capsys.readouterr().out.count("Another run is working on job a; waiting for it.") == 1


def test_what_another_process_left_undone_is_done_here(files, monkeypatch):
    monkeypatch.setattr(runner, "ASK_AGAIN_SECONDS", 0.02)
    work = files()
    lock = FileLock(work.store.runs / ".a.lock", thread_local=False)
    lock.acquire()
    monkeypatch.setattr(time, "sleep", lambda seconds: lock.release())
    runner.run(work, ["a", "b"])
    assert order(work) == ["b", "a"]


def test_an_executor_of_ones_own_gets_all_jobs(files):
    Threads.seen.clear()
    work = files("tests.benchmarks.test_runner.Threads", max_workers=2)
    runner.run(work, ["a", "broken", "b", "c"])
    assert Threads.seen == ["a", "broken", "b", "c"] and sorted(order(work)) == ["a", "b", "broken", "c"]
    with pytest.raises(BadInput, match="paths.data: is empty"):
        runner.run(work, ["bad"])


def test_jobs_and_their_work_can_be_sent_to_another_process(files):
    work = files("concurrent.futures.ProcessPoolExecutor", max_workers=1)
    runner.run(work, ["a", "broken"])
    assert work.place("a").read_text() == "done" and work.place("broken").read_text() == "OSError: no space left"


@pytest.mark.parametrize("number, words", [(errno.ENOSPC, "disk full: "), (errno.EROFS, "not writable: ")])
def test_any_file_that_cannot_be_written_is_named_whoever_wrote_it(number, words):
    failure = failure_of(OSError(number, "as the system says", "runs/cache/images.npy"))
    assert failure.reason.startswith(words) and "runs/cache/images.npy" in failure.reason and failure.retry
    assert failure_of(OSError(errno.EIO, "broken", "file")).reason == "OSError: [Errno 5] broken: 'file'"
