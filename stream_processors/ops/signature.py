"""Signatures of the Standard Webhooks specification (standardwebhooks.com): symmetric, version v1.

webhook-id          the same for every attempt of one message: who received it twice knows by this
webhook-timestamp   seconds since 1970 of this attempt; a receiver refuses old ones
webhook-signature   `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; one for each secret, by spaces
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
_SECRET_BYTES = (24, 64)
TOLERANCE_SECONDS = 300


class Secret:
    """The key of one subscriber. It has no readable form, so that no log line or test failure can show it."""

    __slots__ = ("_key",)

    def __init__(self, text: str) -> None:
        """From `whsec_` and base64; ValueError says what is wrong, and never repeats the text."""
        if not text.startswith(PREFIX):
            raise ValueError(f"a secret begins with {PREFIX}")
        try:
            key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            raise ValueError(f"a secret is base64 after {PREFIX}") from None
        if not _SECRET_BYTES[0] <= len(key) <= _SECRET_BYTES[1]:
            raise ValueError(f"a secret has {_SECRET_BYTES[0]} to {_SECRET_BYTES[1]} bytes")
        self._key = key

    def __repr__(self) -> str:
        return "Secret(********)"

    def sign(self, message_id: str, timestamp_seconds: int, body: bytes) -> str:
        """One signature of the header."""
        signed = f"{message_id}.{timestamp_seconds}.".encode() + body
        return "v1," + base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()


def headers(secrets: Sequence[Secret], message_id: str, timestamp_seconds: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt; several secrets while one takes the other's place."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_seconds),
        "webhook-signature": " ".join(secret.sign(message_id, timestamp_seconds, body) for secret in secrets),
    }


def is_genuine(secret: Secret, found: Mapping[str, str], body: bytes, now_seconds: float) -> bool:
    """What a receiver asks: is one signature of this secret, and the attempt not old. Names in lower case."""
    try:
        message_id, timestamp = found["webhook-id"], int(found["webhook-timestamp"])
        signatures = found["webhook-signature"].split()
    except (KeyError, ValueError):
        return False
    wanted = secret.sign(message_id, timestamp, body).encode()
    fits = any(hmac.compare_digest(wanted, signature.encode()) for signature in signatures)
    return fits and abs(now_seconds - timestamp) <= TOLERANCE_SECONDS
