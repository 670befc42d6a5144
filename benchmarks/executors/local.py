"""Where a trial's work runs. An executor is called with a function and its arguments and returns when it is done."""

from collections.abc import Callable


class Local:
    """In this process."""

    def __call__(self, function: Callable, *arguments) -> None:
        function(*arguments)
