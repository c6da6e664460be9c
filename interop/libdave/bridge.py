"""Discord's libdave behind a line protocol: one request a line on standard input, one answer a line on standard output.

usage: PYTHONPATH=... python3 bridge.py USER CHANNEL

Bytes are hexadecimal, `-` is nothing, `ok` is done. Anything that must not happen among friends ends the program.
Transitions are wired as the sample that comes with libdave does it.
"""

import asyncio
import os
import sys

import dave

RETENTION = 10.0  # seconds that keys of the past are kept


class Member:
    def __init__(self, user: int, channel: int) -> None:
        self.user, self.channel = user, channel
        self.key = dave.SignatureKeyPair.generate(1)
        self.session = dave.Session(lambda where, why: print(f"libdave: {where}: {why}", file=sys.stderr))
        self.session.init(1, channel, str(user), self.key)
        self.encryptor = dave.Encryptor()
        for codec in dave.Codec:
            self.encryptor.assign_ssrc_to_codec(int(codec) + 1, codec)
        self.decryptors: dict[int, dave.Decryptor] = {}
        self.roster: dict[int, bytes] = {}
        self.recognised: set[str] = {str(user)}
        self.prepared: dict[int, int] = {}
        self.version = 1
        self.passthrough = False

    def sender(self, package: str) -> str:
        self.session.set_external_sender(bytes.fromhex(package))
        return "ok"

    def connected(self, users: str) -> str:
        self.recognised = set(users.split(","))
        return "ok"

    def package(self) -> str:
        return written(self.session.get_marshalled_key_package())

    def proposals(self, payload: str) -> str:
        return written(self.session.process_proposals(bytes.fromhex(payload), self.recognised))

    def commit(self, transition: str, commit: str) -> str:
        changed = self.session.process_commit(bytes.fromhex(commit))
        if isinstance(changed, dave.RejectType):
            raise SystemExit(f"a commit was refused: {changed!r}")
        return self.joined(int(transition), changed)

    def welcome(self, transition: str, welcome: str) -> str:
        changed = self.session.process_welcome(bytes.fromhex(welcome), self.recognised)
        if changed is None:
            raise SystemExit("a welcome was refused")
        return self.joined(int(transition), changed)

    def joined(self, transition: int, changed: dict) -> str:
        for user, key in changed.items():
            if key:
                self.roster[user] = bytes(key)
            else:
                self.roster.pop(user, None)
        for user in self.roster:
            if user != self.user:
                ratchet = self.session.get_key_ratchet(str(user))
                self.decryptor(user).transition_to_key_ratchet(ratchet, RETENTION)
        return self.prepared_for(transition, 1)

    def decryptor(self, user: int) -> "dave.Decryptor":
        if user not in self.decryptors:
            self.decryptors[user] = dave.Decryptor()
            self.decryptors[user].transition_to_passthrough_mode(self.passthrough, RETENTION)
        return self.decryptors[user]

    def prepare(self, transition: str, version: str) -> str:
        if int(version) == 0:
            self.pass_through(True)
        return self.prepared_for(int(transition), int(version))

    def pass_through(self, passthrough: bool) -> None:
        self.passthrough = passthrough
        for decryptor in self.decryptors.values():
            decryptor.transition_to_passthrough_mode(passthrough, RETENTION)

    def prepared_for(self, transition: int, version: int) -> str:
        self.prepared[transition] = version
        return self.execute("0") if transition == 0 else "ok"

    def execute(self, transition: str) -> str:
        version = self.prepared.pop(int(transition), None)
        if version is None:
            return "unknown transition"
        self.version = version
        if version == 0:
            self.session.reset()
            self.encryptor.set_passthrough_mode(True)
        else:
            self.encryptor.set_key_ratchet(self.session.get_key_ratchet(str(self.user)))
            self.encryptor.set_passthrough_mode(False)
            self.pass_through(False)
        return "ok"

    def restart(self, version: str) -> str:
        self.session.init(int(version), self.channel, str(self.user), self.key)
        return "ok"

    def authenticator(self) -> str:
        if not self.session.has_established_group():
            return "-"
        return written(self.session.get_last_epoch_authenticator())

    def code(self) -> str:
        if not self.session.has_established_group():
            return ""
        return dave.generate_displayable_code(self.session.get_last_epoch_authenticator(), 30, 5)

    def keys(self) -> str:
        return ",".join(f"{user}:{key.hex()}" for user, key in sorted(self.roster.items()))

    def pair(self, user: str) -> bytes:
        async def derived() -> bytes | None:
            return await self.session.get_pairwise_fingerprint(0, user)

        fingerprint = asyncio.run(derived())
        if fingerprint is None:
            raise SystemExit(f"no fingerprint with {user}")
        return bytes(fingerprint)

    def fingerprint(self, user: str) -> str:
        return written(self.pair(user))

    def paircode(self, user: str) -> str:
        return dave.generate_displayable_code(self.pair(user), 45, 5)

    def seal(self, codec: str, frame: str) -> str:
        kind = dave.Codec[codec]
        return written(self.encryptor.encrypt(media(codec), int(kind) + 1, bytes.fromhex(frame)))

    def open(self, user: str, codec: str, frame: str) -> str:
        return written(self.decryptor(int(user)).decrypt(media(codec), bytes.fromhex(frame)))


def media(codec: str) -> "dave.MediaType":
    return dave.MediaType.audio if codec == "opus" else dave.MediaType.video


def written(data: bytes | None) -> str:
    return "-" if data is None else bytes(data).hex()


def quiet() -> None:
    """libdave prints a line for every frame that its newest key does not open; what Python says is still heard."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def main() -> None:
    quiet()
    member = Member(int(sys.argv[1]), int(sys.argv[2]))
    for line in sys.stdin:
        verb, *arguments = line.split()
        print(getattr(member, verb)(*arguments), flush=True)


main()
