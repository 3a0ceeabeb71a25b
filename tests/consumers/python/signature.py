"""ICR's own signature, verified by a consumer that holds the webhook secret: then it need not trust the bridge, nor Kafka.

Needs `SIGNATURE_HEADERS=true` at the bridge.
"""

import base64
import decimal
import hashlib
import hmac
import json

from event import Event, Transaction


class Unproven(Exception):
    """The record is not what ICR has signed."""


def verify(secret, headers, cloud_event, event):
    """Raises `Unproven` unless ICR has signed what this event says."""
    signed_data = headers.get("icr_signed_data", b"")
    proof = hmac.new(secret, signed_data, hashlib.sha256).hexdigest().encode()
    if not hmac.compare_digest(proof, headers.get("icr_signature", b"")):
        raise Unproven("the signature is missing or wrong")
    if hashlib.sha256(signed_data).hexdigest() != cloud_event.get_extension("fingerprint"):
        raise Unproven("the fingerprint is that of other data")
    # The signature covers signedData, so the record must say the same.
    if understood(decode(signed_data)) != event:
        raise Unproven("the record says something else than what was signed")


def decode(signed_data):
    """JSON in base64 of either alphabet, padding optional, white space skipped. Numbers are kept as they are spelled."""
    compact = b"".join(signed_data.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    return json.loads(base64.b64decode(compact + b"=" * (-len(compact) % 4)), parse_float=str, parse_int=str)


def understood(payload):
    """What this consumer acts upon, read as the bridge does: a number or a boolean counts as its text, an object or an array as nothing."""

    def text(value):
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else None

    installation = payload.get("installation") or {}
    organization, transaction = installation.get("organization") or {}, payload.get("transaction")
    if transaction:
        amount = transaction.get("amount")
        of = [text(transaction.get(name)) for name in ("id", "creditId", "type", "status")]
        transaction = Transaction(*of, None if amount is None else decimal.Decimal(amount))
    return Event(payload["event"], text(organization.get("id")), text(installation.get("id")), transaction)
