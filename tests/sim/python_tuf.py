# SPDX-License-Identifier: Apache-2.0
"""The other implementation: a repository by python3-tuf's Metadata API, and its
client. Used by test_trust_python.sh.

    python_tuf.py write REPO BUNDLE NAME    version 1 of a repository
    python_tuf.py rotate REPO               another root key and release key; version 2
    python_tuf.py release REPO BUNDLE NAME  one more target, not the same files
    python_tuf.py read REPO HOME NAME FILE  prints what the client makes of NAME, and
                                     that its bytes are FILE's
    python_tuf.py fetch URL HOME NAME FILE [DIR [WHO]]
                                     the same of a server; with DIR/ca.pem, and the
                                     certificate of WHO
"""

import hashlib
import http.server
import json
import os
import sys
import tempfile
import threading
from datetime import datetime, timedelta, timezone

from securesystemslib._vendor.ed25519 import ed25519
from securesystemslib.signer import SSlibKey, Signature, Signer
from securesystemslib.signer._utils import compute_default_keyid
from tuf.api.metadata import (DelegatedRole, Delegations, Metadata, MetaFile,
                              Root, Snapshot, TargetFile, Targets, Timestamp)
from tuf.api.serialization.json import JSONSerializer
from tuf.ngclient import RequestsFetcher, Updater


class Key(Signer):
    """An ed25519 key from a name, so that each run of this program has it.

    Of the library's own signers none works with this suite's
    python3-cryptography; the curve is the library's.
    """

    def __init__(self, name):
        self.secret = hashlib.sha256(name.encode()).digest()
        public = ed25519.publickey_unsafe(self.secret)
        val = {"public": public.hex()}
        keyid = compute_default_keyid("ed25519", "ed25519", val)
        self._public = SSlibKey(keyid, "ed25519", "ed25519", val)
        self.raw = public

    @property
    def public_key(self):
        return self._public

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri, public_key, secrets_handler=None):
        return cls(priv_key_uri)

    def sign(self, payload):
        sig = ed25519.signature_unsafe(payload, self.secret, self.raw)
        return Signature(self._public.keyid, sig.hex())


def later(days):
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return now + timedelta(days=days)


def write(repo, name, signed, keys, version=True):
    md = Metadata(signed)
    for i, key in enumerate(keys):
        md.sign(Key(key), append=i > 0)
    prefix = f"{signed.version}." if version else ""
    path = f"{repo}/metadata/{prefix}{name}.json"
    # Written for people: spaces, which are not in what is signed.
    md.to_file(path, JSONSerializer(compact=False))
    with open(path, "rb") as file:
        return file.read()


def add(repo, targets, bundle, name):
    info = TargetFile.from_file(name, bundle)
    targets.targets[name] = info
    folder, _, base = name.rpartition("/")
    folder = os.path.join(repo, "targets", folder)
    os.makedirs(folder, exist_ok=True)
    with open(bundle, "rb") as src, \
            open(f"{folder}/{info.hashes['sha256']}.{base}", "wb") as dst:
        dst.write(src.read())


def state(repo):
    path = f"{repo}/../python.json"
    if not os.path.exists(path):
        return {"root": 1, "version": 0, "keys": 1, "names": []}, path
    with open(path) as file:
        return json.load(file), path


def publish(repo, bundle=None, name=None, rotate=False):
    """Everything anew, one version higher."""
    was, path = state(repo)
    before = was["keys"]
    was["version"] += 1
    if rotate:
        was["root"] += 1
        was["keys"] += 1
    if name:
        was["names"].append([name, bundle])
    n = was["keys"]
    role_keys = {
        "root": [f"root-{n}", f"root-{n + 1}", f"root-{n + 2}"],
        "targets": [f"targets-{n}", "targets-b"],
        "snapshot": ["snapshot"],
        "timestamp": ["timestamp"],
    }
    root = Root(version=was["root"], expires=later(100),
                unrecognized_fields={"x-note": "a field of tomorrow ü"})
    for role, keys in role_keys.items():
        for key in keys:
            root.add_key(Key(key).public_key, role)
        root.roles[role].threshold = 2 if role in ("root", "targets") else 1
    if was["version"] == 1 or rotate:
        signers = list(role_keys["root"])
        for i in range(before, before + 3):
            if f"root-{i}" not in signers:
                signers.append(f"root-{i}")
        write(repo, "root", root, signers)

    nightly, bins = Key("nightly").public_key, Key("bins").public_key
    targets = Targets(version=was["version"], expires=later(50))
    targets.delegations = Delegations(
        {nightly.keyid: nightly, bins.keyid: bins},
        {"nightly": DelegatedRole("nightly", [nightly.keyid], 1, True,
                                  paths=["nightly/*"]),
         "bins": DelegatedRole("bins", [bins.keyid], 1, False,
                               path_hash_prefixes=list("0123456789abcdef"))})
    by_role = {"targets": targets,
               "nightly": Targets(version=was["version"], expires=later(9)),
               "bins": Targets(version=was["version"], expires=later(9))}
    for one, file in was["names"]:
        role = ("nightly" if one.startswith("nightly/") else
                "bins" if one.startswith("bin-") else "targets")
        add(repo, by_role[role], file, one)
    # One that lists what it may not.
    add(repo, by_role["nightly"], was["names"][0][1], "not-nightly.bundle")

    snapshot = Snapshot(version=was["version"], expires=later(20))
    for role, signed in by_role.items():
        data = write(repo, role, signed,
                     role_keys["targets"] if role == "targets" else [role])
        # One with hashes, the others by version alone.
        snapshot.meta[f"{role}.json"] = (
            MetaFile.from_data(signed.version, data, ["sha256"])
            if role == "targets" else MetaFile(signed.version))
    data = write(repo, "snapshot", snapshot, ["snapshot"])
    timestamp = Timestamp(version=was["version"], expires=later(2))
    timestamp.snapshot_meta = MetaFile.from_data(was["version"], data,
                                                 ["sha256", "sha512"])
    write(repo, "timestamp", timestamp, ["timestamp"], version=False)
    with open(path, "w") as file:
        json.dump(was, file)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Certified(RequestsFetcher):
    """The client's own fetcher, where both sides have certificates."""

    def __init__(self, folder, who):
        super().__init__()
        self.verify = f"{folder}/ca.pem"
        self.cert = (f"{folder}/{who}.pem", f"{folder}/{who}.key")
        if not who:
            self.cert = None

    def _get_session(self, url):
        session = super()._get_session(url)
        session.verify, session.cert = self.verify, self.cert
        session.trust_env = False  # $REQUESTS_CA_BUNDLE would count for more
        return session


def fetch(url, home, name, wanted=None, folder=None, who=None):
    """python3-tuf's own client over HTTP, as an application uses it."""
    fetcher = Certified(folder, who) if folder else None
    with tempfile.TemporaryDirectory() as out:
        updater = Updater(home, f"{url}/metadata/", out, f"{url}/targets/",
                          fetcher)
        updater.refresh()
        info = updater.get_targetinfo(name)
        if info is None:
            sys.exit(f"{name}: not listed")
        print(json.dumps(info.to_dict(), sort_keys=True))
        if wanted:
            with open(updater.download_target(info), "rb") as a, \
                    open(wanted, "rb") as b:
                if a.read() != b.read():
                    sys.exit(f"{name}: other bytes")


def read(repo, home, name, wanted):
    """From a web server that knows nothing of it."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0),
        lambda *args: Quiet(*args, directory=repo))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fetch(f"http://127.0.0.1:{server.server_port}", home, name, wanted)
    server.shutdown()


def main(verb, repo, *rest):
    if verb == "write":
        os.makedirs(f"{repo}/metadata")
        os.makedirs(f"{repo}/targets")
        publish(repo, *rest)
    elif verb == "rotate":
        publish(repo, rotate=True)
    elif verb == "release":
        publish(repo, *rest)
    elif verb == "fetch":
        fetch(repo, *rest)
    elif verb == "read":
        read(repo, rest[0], rest[1], rest[2] if len(rest) > 2 else None)
    else:
        sys.exit(f"no verb '{verb}'")


main(*sys.argv[1:])
