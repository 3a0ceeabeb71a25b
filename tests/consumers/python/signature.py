"""ICR's own signature, verified by a consumer that holds the webhook secret: then it need not trust the bridge, nor Kafka.

Needs `SIGNATURE_HEADERS=true` at the bridge.
"""

import base64
import decimal
import hashlib
import hmac
import json


class Unproven(Exception):
    """The record is not what ICR has signed."""


def verify(secret, headers, event):
    """Raises `Unproven` unless ICR has signed what this event says."""
    signed_data = headers.get("icr_signed_data", b"")
    proof = hmac.new(secret, signed_data, hashlib.sha256).hexdigest().encode()
    if not hmac.compare_digest(proof, headers.get("icr_signature", b"")):
        raise Unproven("the signature is missing or wrong")
    if hashlib.sha256(signed_data).hexdigest() != event.get_extension("fingerprint"):
        raise Unproven("the fingerprint is that of other data")
    # The signature covers signedData, so the record must say the same.
    signed = decode(signed_data)
    signed["organization"] = (signed.get("installation") or {}).get("organization")
    if statement(signed) != statement(event.get_data()):
        raise Unproven("the record says something else than what was signed")


def decode(signed_data):
    """Base64 in either alphabet, padding optional, white space skipped."""
    compact = b"".join(signed_data.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    return json.loads(base64.b64decode(compact + b"=" * (-len(compact) % 4)), parse_float=decimal.Decimal)


def statement(payload):
    """What this consumer acts upon."""
    said = [payload["event"], *[(payload.get(name) or {}).get("id") for name in ("installation", "organization", "transaction")]]
    transaction = payload.get("transaction") or {}
    amount = transaction.get("amount")
    said += [transaction.get(name) for name in ("creditId", "type", "status")]
    return [*said, None if amount is None else decimal.Decimal(amount)]
