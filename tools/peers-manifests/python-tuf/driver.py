"""Drives python-tuf's own client, and its metadata API to make repositories.

Asked with one JSON object as its one argument, it answers with one line of JSON
(tools/peers/peers.mjs says what is in them). It fetches and reports, judges
nothing: every failure is the peer's own error, by class.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from datetime import datetime

from make import make_repository
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

# Its limits are out of the way: they are not what is looked at.
LIMITS = UpdaterConfig(snapshot_max_length=1 << 30, targets_max_length=1 << 30)


def open_client(asked, root, folder, fetcher):
    metadata_dir = os.path.join(folder, "metadata")
    target_dir = os.path.join(folder, "targets")
    os.makedirs(metadata_dir, exist_ok=True)
    os.makedirs(target_dir, exist_ok=True)
    updater = Updater(
        metadata_dir=metadata_dir,
        metadata_base_url=asked["metadataUrl"],
        target_dir=target_dir,
        target_base_url=asked["targetsUrl"],
        fetcher=fetcher,
        config=LIMITS,
        bootstrap=root,
    )
    if "now" in asked:
        now = datetime.fromisoformat(asked["now"].replace("Z", "+00:00"))
        updater._trusted_set.reference_time = now  # noqa: SLF001 - there is no other way
    return updater


def fetch(asked, root):
    """Refreshes once, then finds and downloads each target."""
    updater = open_client(asked, root, asked["outFolder"], Urllib3Fetcher())
    updater.refresh()
    return {"files": [answer_for(updater, path) for path in asked["targetPaths"]]}


def answer_for(updater, target_path):
    try:
        target = updater.get_targetinfo(target_path)
        if target is None:
            return {"ok": False, "error": "TargetNotFound", "message": target_path}
        path = updater.download_target(target)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return {"ok": False, "error": type(error).__name__, "message": str(error)}
    with open(path, "rb") as file:
        content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"ok": True, "path": path, "length": len(content), "sha256": digest}


def measure(asked, root):
    """Times refreshing and finding the targets, each round from an empty cache."""
    nanos = []
    fetcher = Urllib3Fetcher()
    for number in range(asked["rounds"]):
        folder = os.path.join(asked["outFolder"], f"round-{number}")
        os.makedirs(folder)
        begin = time.perf_counter_ns()
        updater = open_client(asked, root, folder, fetcher)
        updater.refresh()
        for path in asked["targetPaths"]:
            if updater.get_targetinfo(path) is None:
                raise LookupError(path)
        nanos.append(time.perf_counter_ns() - begin)
        shutil.rmtree(folder)
    return {"nanos": nanos}


def carry_out(asked):
    if asked["do"] == "make":
        make_repository(asked["plan"], asked["outFolder"])
        return {}
    with open(asked["rootFile"], "rb") as file:
        root = file.read()
    return {"fetch": fetch, "time": measure}[asked["do"]](asked, root)


def main():
    try:
        answer = carry_out(json.loads(sys.argv[1]))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
