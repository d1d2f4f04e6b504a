"""Texts of git and ssh that hanoverd gives advice for, each with the version that was seen to print it.

git exits with status 128 for all of these errors. Its texts are in English: hanoverd runs it with ``LC_ALL=C``. The host of a
repository can print the same texts: nothing but the advice may depend on them.
"""

from __future__ import annotations

#: git has no user name or password for the host, or the host rejects them. git 2.39.5.
_NO_LOGIN = ("could not read Username", "Authentication failed")

#: ssh has no key that the host accepts, or does not know the host. OpenSSH 9.2.
_NO_SSH_KEY = ("Permission denied (publickey", "Host key verification failed")

#: A file became too large (signal 25, SIGXFSZ). git 2.39.5.
_TOO_LARGE = ("died of signal 25", "File too large")


def hint(error: str) -> str:
    """Return the advice for an error of git, to be added to it; "" if there is none."""
    if any(text in error for text in _NO_LOGIN):
        return ". Set up a credential helper for git, or use ssh (--git-protocol ssh)"
    if any(text in error for text in _NO_SSH_KEY):
        return ". ssh must connect without asking: give it a key (or an agent), and add the host to known_hosts"
    if any(text in error for text in _TOO_LARGE):
        return ". The repository is larger than --git-max-size"
    return ""
