"""The token by which users log in: only a salted hash of it is kept, in a file that only its user can read."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from hanoverd.runtime.errors import WebError
from hanoverd.runtime.private_files import make_folder, read_file, replace_file

#: The longest token that is looked at, in characters; and the size of the file, in bytes.
LONGEST_TOKEN, MOST_BYTES = 200, 4096

#: The cost of a hash: 16 MiB of memory and some 50 ms (RFC 7914, section 2).
_COST, _BLOCK_SIZE, _PARALLEL = 2**14, 8, 1

_TOKEN_BYTES, _SALT_BYTES = 24, 16


@dataclass(frozen=True)
class TokenHash:
    """The hash of a token, with its salt."""

    salt: bytes
    hash: bytes

    @classmethod
    def of(cls, token: str) -> TokenHash:
        """Return the hash of a token with a new salt."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return cls(salt, _hash(token, salt))

    @classmethod
    def parse(cls, text: bytes) -> TokenHash:
        """Return the hash that a file holds; ValueError."""
        try:
            found = json.loads(text)
            parsed = cls(bytes.fromhex(found["salt"]), bytes.fromhex(found["scrypt"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError("it is damaged") from None
        if len(parsed.salt) != _SALT_BYTES or len(parsed.hash) != hashlib.sha512().digest_size:
            raise ValueError("it is damaged")
        return parsed

    def write(self) -> bytes:
        """Return the text for the file."""
        return json.dumps({"salt": self.salt.hex(), "scrypt": self.hash.hex()}).encode() + b"\n"

    def fits(self, token: str) -> bool:
        """Return whether this is the hash of ``token``.  Takes 50 ms or so: call it in a thread."""
        return len(token) <= LONGEST_TOKEN and hmac.compare_digest(self.hash, _hash(token, self.salt))


def _hash(token: str, salt: bytes) -> bytes:
    # Hashed once before: scrypt does not distinguish passwords that differ in NUL bytes at their end (HMAC pads its key, RFC 2104).
    password = hashlib.sha256(token.encode("utf-8", "replace")).digest()
    return hashlib.scrypt(password, salt=salt, n=_COST, r=_BLOCK_SIZE, p=_PARALLEL, dklen=64)


class TokenFile:
    """The file with the hash.  All methods block, and fail with ``WebError``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[object, TokenHash] | None = None

    def create(self) -> str | None:
        """Create a token unless there is one, and return it; None if there is one already."""
        try:
            self.read()
        except FileNotFoundError:
            return self.replace()
        return None

    def replace(self) -> str:
        """Create a token in the place of the one before, and return it."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        try:
            make_folder(self._path.parent, 0o755 if os.geteuid() == 0 else 0o700)
            replace_file(self._path, TokenHash.of(token).write())
        except OSError as error:
            raise WebError(f"cannot save the token in {self._path}: {error.strerror}") from None
        return token

    def read(self) -> TokenHash:
        """Return the hash.  It is read again only when the file has been replaced.

        Fails with ``FileNotFoundError``, too.
        """
        try:
            status = self._path.lstat()
            key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
            if self._seen is None or self._seen[0] != key:
                self._seen = (key, TokenHash.parse(read_file(self._path, MOST_BYTES)))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise WebError(f"cannot read the token's hash in {self._path}: {error.strerror}") from None
        except ValueError as error:
            raise WebError(
                f"cannot read the token's hash in {self._path}: {error}: run `hanoverd web --new-token`"
            ) from None
        return self._seen[1]


def token_message(token: str) -> str:
    """Return what is printed when a token was created."""
    return (
        f"Log in to the page with this token, which is not shown again: {token}\n"
        "`hanoverd web --new-token` replaces it.\n"
    )
