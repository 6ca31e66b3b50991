"""A user of python-tuf who looks at a mirror every day for a year.

Reads one JSON object a line: the time, and target paths to look up. Answers
with one line each: the SHA-256 of what was found by path (null where nothing
was), or the class of the error that ended the look. The mirror is a folder.
"""

import json
import os
import sys
from datetime import datetime

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig


class Folder(FetcherInterface):
    """Fetches `folder/...` URLs from a folder."""

    def __init__(self, folder):
        self.folder = folder

    def _fetch(self, url):
        path = os.path.join(self.folder, url.removeprefix("folder/"))
        if not os.path.exists(path):
            raise DownloadHTTPError("not there", 404)
        with open(path, "rb") as file:
            yield file.read()


def look(fetcher, state, root, asked):
    updater = Updater(
        metadata_dir=state,
        metadata_base_url="folder/metadata/",
        fetcher=fetcher,
        config=UpdaterConfig(snapshot_max_length=1 << 30, targets_max_length=1 << 30),
        bootstrap=root,
    )
    updater._trusted_set.reference_time = datetime.fromisoformat(asked["now"].replace("Z", "+00:00"))  # noqa: SLF001
    try:
        updater.refresh()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return {"error": type(error).__name__}
    found = {}
    for path in asked["paths"]:
        try:
            target = updater.get_targetinfo(path)
            found[path] = target and target.hashes["sha256"]
        except Exception as error:  # noqa: BLE001
            found[path] = type(error).__name__
    return {"found": found}


def main():
    folder, state, root_file = sys.argv[1:4]
    with open(root_file, "rb") as file:
        root = file.read()
    for line in sys.stdin:
        print(json.dumps(look(Folder(folder), state, root, json.loads(line))), flush=True)


main()
