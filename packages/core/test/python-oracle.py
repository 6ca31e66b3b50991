"""Answers, in python-tuf's and securesystemslib's words, what core is asked.

Reads one JSON object a line, writes one line of JSON for each.
"""

import json
import sys

from securesystemslib.formats import encode_canonical
from tuf.api.metadata import DelegatedRole, SuccinctRoles


def canonical(asked):
    return encode_canonical(json.loads(asked["text"])).encode("utf-8").hex()


def pattern(asked):
    role = DelegatedRole("role", [], 1, False, paths=[asked["pattern"]])
    return role.is_delegated_path(asked["path"])


def prefixes(asked):
    role = DelegatedRole("role", [], 1, False, path_hash_prefixes=asked["prefixes"])
    return role.is_delegated_path(asked["path"])


def succinct(asked):
    roles = SuccinctRoles([], 1, asked["bitLength"], asked["namePrefix"])
    return roles.get_role_for_target(asked["path"])


ANSWERS = {"canonical": canonical, "pattern": pattern, "prefixes": prefixes, "succinct": succinct}

for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(ANSWERS[request["what"]](request)))
