"""Makes a repository from a plan with python-tuf's own metadata API: its keys,
its spelling, its signatures, its idea of which bin holds a path."""

import os
from datetime import datetime
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

GENERATE = {
    "ed25519": CryptoSigner.generate_ed25519,
    "ecdsa": CryptoSigner.generate_ecdsa,
    "rsa": lambda: CryptoSigner.generate_rsa(size=2048),
}


def make_repository(plan, folder):
    Workshop(plan, folder).make()


class Workshop:
    """Holds what is made on the way: who signs a role, and what the snapshot lists."""

    def __init__(self, plan, folder):
        self.plan = plan
        self.folder = folder
        self.signers = {}
        self.common = {
            "expires": datetime.fromisoformat(plan["expires"].replace("Z", "+00:00")),
            "unrecognized_fields": plan["fields"],
        }
        self.snapshot = Snapshot(**self.common, meta={})

    def make(self):
        root = Root(**self.common, consistent_snapshot=self.plan["consistentSnapshot"])
        for role, kinds in self.plan["keys"].items():
            for key in self.generate(role, kinds):
                root.add_key(key, role)
            root.roles[role].threshold = len(kinds)
        for role in self.plan["roles"]:
            self.make_targets(role)
        snapshot = self.seal("snapshot", self.snapshot, self.prefix())
        timestamp = Timestamp(**self.common, snapshot_meta=self.listed(snapshot))
        self.seal("timestamp", timestamp, "")
        self.write("root.json", self.seal("root", root, "1."))

    def make_targets(self, role):
        targets = Targets(**self.common)
        for path, content in role["targets"].items():
            self.add_target(targets, path, content)
        if role.get("delegations"):
            made = {d["name"]: self.delegated(d) for d in role["delegations"]}
            targets.delegations = Delegations(keys={}, roles=made)
            for delegation in role["delegations"]:
                for key in self.generate(delegation["name"], delegation["keys"]):
                    targets.add_key(key, delegation["name"])
        if role.get("succinct"):
            bins = role["succinct"]
            roles = SuccinctRoles(
                [], len(bins["keys"]), bins["bitLength"], bins["namePrefix"]
            )
            targets.delegations = Delegations(keys={}, succinct_roles=roles)
            for key in self.generate(bins["namePrefix"], bins["keys"]):
                targets.add_key(key)
            self.make_bins(bins, roles)
        self.put_targets(role["name"], targets)

    def make_bins(self, bins, roles):
        """Makes every bin, with each target where python-tuf looks for it."""
        for name in roles.get_roles():
            made = Targets(**self.common)
            for path, content in bins["targets"].items():
                if roles.get_role_for_target(path) == name:
                    self.add_target(made, path, content)
            self.signers[name] = self.signers[bins["namePrefix"]]
            self.put_targets(name, made)

    def delegated(self, wanted):
        return DelegatedRole(
            wanted["name"],
            [],
            len(wanted["keys"]),
            wanted["terminating"],
            wanted.get("paths"),
            wanted.get("prefixes"),
        )

    def put_targets(self, name, targets):
        sealed = self.seal(name, targets, self.prefix())
        self.snapshot.meta[f"{name}.json"] = self.listed(sealed)

    def add_target(self, targets, path, content):
        data = content.encode()
        target = TargetFile.from_data(path, data, ["sha256", "sha512"])
        target.unrecognized_fields = self.plan["fields"]
        targets.targets[path] = target
        consistent = self.plan["consistentSnapshot"]
        for shown in target.get_prefixed_paths() if consistent else [path]:
            self.write(os.path.join("targets", shown), data)

    def listed(self, sealed):
        full = self.plan["listing"] == "full"
        return MetaFile.from_data(1, sealed, ["sha256"]) if full else MetaFile(1)

    def prefix(self):
        return "1." if self.plan["consistentSnapshot"] else ""

    def seal(self, role, signed, prefix):
        metadata = Metadata(signed)
        for signer in self.signers[role]:
            metadata.sign(signer, append=True)
        sealed = metadata.to_bytes()
        self.write(os.path.join("metadata", f"{prefix}{quote(role, '')}.json"), sealed)
        return sealed

    def write(self, name, data):
        file = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as out:
            out.write(data)

    def generate(self, role, kinds):
        self.signers[role] = [GENERATE[kind]() for kind in kinds]
        if self.plan.get("keepKeys"):
            for number, signer in enumerate(self.signers[role]):
                self.write(os.path.join("keys", f"{quote(role, '')}-{number}.pem"), signer.private_bytes)
        return [signer.public_key for signer in self.signers[role]]
