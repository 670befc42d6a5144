"""What an SQLite database was told last: to find that it is all there takes no MLflow, which takes seconds to import.

DATABASE.sent     hash of what was sent of each suite, and what the database's files were when it had been
"""

import json
import os
from pathlib import Path


def holds(database: Path, suite: str, content: str) -> bool:
    """Whether nobody has written to the database since it was last told of this suite (what its runs are found by),
    with this content."""
    last = _last(database)
    return last["files"] == _files(database) and last["sent"].get(suite) == content


class Telling:
    """Of one suite, begun before the database is written to: what is known of others holds on only where nobody else
    has written since."""

    def __init__(self, database: Path, suite: str) -> None:
        last = _last(database)
        self.database, self.suite = database, suite
        self.others = last["sent"] if last["files"] == _files(database) else {}

    def done(self, content: str) -> None:
        """Keep that the database holds `content` of the suite now."""
        kept = {"files": _files(self.database), "sent": self.others | {self.suite: content}}
        path = _path(self.database)
        temporary = path.with_name(f"{path.name}.tmp")
        temporary.write_text(json.dumps(kept, indent=1))
        os.replace(temporary, path)


def _path(database: Path) -> Path:
    return database.with_name(f"{database.name}.sent")


def _last(database: Path) -> dict:
    """What is kept; nothing where that cannot be read."""
    try:
        found = json.loads(_path(database).read_text())
        return {"files": found["files"], "sent": dict(found["sent"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"files": None, "sent": {}}


def _files(database: Path) -> list[list[int]]:
    """Inode, size and time of change of the database and of its journals, where there are any."""
    found = []
    for path in (database, *(database.with_name(f"{database.name}-{part}") for part in ("wal", "journal"))):
        if path.exists():
            status = path.stat()
            found.append([status.st_ino, status.st_size, status.st_mtime_ns])
    return found
