"""Fetches one target with python-tuf's own client and says in one line of JSON how it went.

Arguments: metadata URL, targets URL, trusted root file, target path, out folder.
State is kept in out/metadata, so that a second run starts from the first; the
file goes to out/targets. Fetches and reports, judges nothing: every failure is
the peer's own error, by class. Exit code 0 when the file is there, else 1.
"""

import hashlib
import json
import os
import sys

from tuf.ngclient import Updater


def fetch(metadata_url, targets_url, root_file, target_path, out):
    metadata_dir = os.path.join(out, "metadata")
    target_dir = os.path.join(out, "targets")
    os.makedirs(metadata_dir, exist_ok=True)
    os.makedirs(target_dir, exist_ok=True)
    with open(root_file, "rb") as file:
        root = file.read()
    updater = Updater(
        metadata_dir=metadata_dir,
        metadata_base_url=metadata_url,
        target_dir=target_dir,
        target_base_url=targets_url,
        bootstrap=root,
    )
    updater.refresh()
    target = updater.get_targetinfo(target_path)
    if target is None:
        return {"ok": False, "error": "TargetNotFound", "message": target_path}
    path = updater.download_target(target)
    with open(path, "rb") as file:
        content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"ok": True, "path": path, "length": len(content), "sha256": digest}


def main():
    try:
        answer = fetch(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        answer = {"ok": False, "error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer))
    return 0 if answer["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
