"""The record's value, as far as this program needs it.

Each field that the contract names is of its one type, or null; whatever else stands in a record is left alone.
"""

from __future__ import annotations

import dataclasses
import decimal


@dataclasses.dataclass(frozen=True)
class Transaction:
    id: str
    credit_id: str | None
    type: str | None
    status: str | None
    amount: decimal.Decimal | None

    @classmethod
    def of(cls, said: dict) -> Transaction:
        # A decimal in plain notation: never a float.
        amount = None if said["amount"] is None else decimal.Decimal(said["amount"])
        return cls(said["id"], said["creditId"], said["type"], said["status"], amount)


@dataclasses.dataclass(frozen=True)
class Event:
    event: str
    organization_id: str | None
    installation_id: str | None
    transaction: Transaction | None

    @classmethod
    def of(cls, said: dict) -> Event:
        """Of the value's JSON."""
        organization, installation, transaction = said["organization"], said["installation"], said["transaction"]
        return cls(
            said["event"],
            organization and organization["id"],
            installation and installation["id"],
            transaction and Transaction.of(transaction),
        )
