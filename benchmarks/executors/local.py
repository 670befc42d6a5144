"""In this process, one job after the other."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Local(Executor):
    """Runs a job when it is submitted. Executors are those of concurrent.futures: `submit` gives a future, which is
    asked for its result."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future:
        """The finished future of function(*arguments). An interruption goes through to the caller."""
        future: Future = Future()
        try:
            future.set_result(function(*arguments, **more))
        except Exception as error:
            future.set_exception(error)
        return future
