"""The plainest work there is; importable by any worker."""

from benchmarks.runner import Work


class OneFile(Work[str]):
    """Each job leaves a file of its name, which says how it ended."""

    def name(self, job):
        return f"job {job}"

    def place(self, job):
        return self.store.runs / job

    def settled(self, job):
        return self.place(job).exists()

    def do(self, job):
        self.place(job).write_text("done")

    def fail(self, job, failure):
        self.place(job).write_text(failure.reason)
        return True
