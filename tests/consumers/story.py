"""What ICR delivers in the consumers' suite, and what a consumer must make of it.

The expected tables are computed from the deliveries alone: from what was sent, in which order, and how it was answered. No consumer's code
has a part in it.
"""

import base64
import collections
import decimal
import hashlib
import hmac
import json
import pathlib
import random
import re

SECRET = "a secret of the consumers' suite"
FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures/deliveries.json"
TRANSACTION_EVENTS = ("warehouseTransaction", "organizationTransaction")
STATES = ("installed", "uninstalled", "suspended", "unsuspended")
decimal.getcontext().prec = 500


class Delivery:
    """A body, and the payload that is signed in it."""

    def __init__(self, payload):
        self.payload = payload
        # JSON with every digit of the amounts.
        document = json.dumps(payload, default=lambda amount: f"@{amount:f}@")
        self.signed_data = base64.b64encode(re.sub('"@([^"@]*)@"', r"\1", document).encode())

    @property
    def body(self):
        return json.dumps({"event": self.payload["event"], "signedData": self.signed_data.decode()}).encode()

    @property
    def signature(self):
        return "sha256=" + hmac.new(SECRET.encode(), self.signed_data, hashlib.sha256).hexdigest()


def installation(number):
    # Some ids are numbers, which count as their text.
    return {
        "id": f"installation-{number}" if number % 5 else 1000 + number,
        "organization": {"id": f"organization-{number // 2}" if number // 2 % 3 else 2000 + number // 2, "fullName": f"Félag {number // 2} ehf."},
        "appId": "an app",
        "permissions": {"organization_info": "VIEW", "something_new": "READ"},
    }


def transaction(dice, story, number, credit):
    # Amounts that no binary float holds.
    amount = decimal.Decimal(dice.randrange(1, 10**12)).scaleb(-dice.choice((0, 2, 7, 18)))
    if number % 10 == 0:
        amount = decimal.Decimal(10**30 + number).scaleb(-9)
    return {
        "id": f"{story}-{number}",
        "creditId": f"exPost-{credit}" if number % 11 else credit,
        # What is no text counts as nothing said.
        "type": dice.choice(("transfer", "retire", "transfer_retire", "a type that is new", 7, True, ["transfer"], {"is": "retire"})),
        "amount": amount,
    }


def tell(seed, organizations=8, transactions=240):
    """Deliveries in the order in which ICR makes them: pending before final or after it, two events of the same transaction, two credits, apps
    that come and go, and events that nobody knows yet."""
    dice = random.Random(seed)
    told = []
    for number in range(2 * organizations):
        for event in ("installed", "suspended", "unsuspended", "suspended", "newPermissionsAccepted"):
            told.append({"event": event, "installation": installation(number)})
        if number % 3 == 0:
            told.append({"event": "uninstalled", "installation": installation(number)})
    lifecycle = len(told)
    for number in range(transactions):
        of = installation(dice.randrange(2 * organizations))
        final = dice.choice(("processed", "processed", "failed"))
        for credit in range(1 + number % 2):
            of_both = transaction(dice, f"transaction-{seed}", number, credit)
            statuses = ["pending_queue", final] if number % 7 else ["a status that is new"]
            for status in statuses:
                event = dice.choice(TRANSACTION_EVENTS)
                told.append({"event": event, "installation": of, "transaction": {**of_both, "status": status}})
        if number % 20 == 0:
            told.append({"event": "projectValidated", "installation": of, "project": {"vintage": 2024, "number": number}})
    # ICR promises no order. The lifecycle stays in it: there the last one decides.
    transactions = told[lifecycle:]
    dice.shuffle(transactions)
    merged, rest = told[:lifecycle], iter(transactions)
    every = max(1, len(transactions) // max(1, lifecycle))
    deliveries = []
    for one in merged:
        deliveries.append(Delivery(one))
        deliveries += [Delivery(other) for other, _ in zip(rest, range(every))]
    return deliveries + [Delivery(other) for other in rest]


def fixtures():
    """What real deliveries look like, with all their oddities, signed with this suite's secret."""
    for fixture in json.loads(FIXTURES.read_text()):
        if fixture["expect"] == "accepted":
            try:
                signed_data = json.loads(fixture["body"])["signedData"].encode()
                payload = json.loads(decode(signed_data), parse_float=decimal.Decimal)
            except (ValueError, KeyError):
                continue
            delivery = Delivery.__new__(Delivery)
            delivery.payload, delivery.signed_data = payload, signed_data
            yield delivery


def decode(signed_data):
    compact = b"".join(signed_data.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(compact + b"=" * (-len(compact) % 4))


def text(value):
    """As the bridge writes it: a number or a boolean as its text, anything else not at all."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int)) else ""


def expected(accepted):
    """The three tables, from `(source, id, delivery)` of what was answered with `accepted`, in any order."""
    transactions, installations, totals, known = {}, {}, collections.defaultdict(lambda: [0, decimal.Decimal(0)]), set()
    # The text of ids sorts by the time of acceptance.
    for source, ce_id, delivery in sorted(accepted, key=lambda one: one[1]):
        payload = delivery.payload
        event = payload["event"]
        if event not in (*TRANSACTION_EVENTS, *STATES, "newPermissionsAccepted"):
            continue
        of = payload["installation"]
        organization, of_id = text(of["organization"]["id"]), text(of["id"])
        total = totals[source, organization, event]
        if event in TRANSACTION_EVENTS:
            if (source, delivery.signed_data) in known:
                continue
            known.add((source, delivery.signed_data))
            said = payload["transaction"]
            status = text(said["status"])
            amount = None if said["amount"] is None else decimal.Decimal(str(said["amount"]))
            rank = {"pending_queue": 0, "processed": 2, "failed": 2}.get(status, 1)
            key = (source, text(said["id"]), text(said.get("creditId")), of_id)
            before = transactions.get(key)
            if before is None or rank >= before[0]:
                transactions[key] = (rank, organization, text(said.get("type")), amount, status)
            if status == "processed" and amount is not None:
                total[1] += amount
        elif event in STATES:
            installations[source, of_id] = (organization, event)
        total[0] += 1
    return {
        "transactions": {key: value[1:] for key, value in transactions.items()},
        "installations": installations,
        "totals": {key: tuple(value) for key, value in totals.items()},
    }
