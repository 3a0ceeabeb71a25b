"""Usage: readme.py GOLDEN

Runs the Python code that the README of the golden records shows, on all of them.
"""

import hashlib
import json
import pathlib
import re
import sys

folder = pathlib.Path(sys.argv[1])
readme = (folder / "README.md").read_text(encoding="utf-8")
(code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
shown = {}
exec(code, shown)

count = 0
for path in sorted(folder.glob("*.json")):
    topic, key, headers, value, timestamp = shown["golden"](path.stem, folder)
    assert topic in ("icr.webhooks", "icr.webhooks.quarantine"), path
    assert (key is None) == (topic == "icr.webhooks.quarantine"), path
    assert all(isinstance(text, bytes) for _, text in headers), path
    assert isinstance(json.loads(value), dict) and timestamp > 0, path
    if key is None:
        # The fingerprint is that of the bytes which the README says one gets.
        signed = json.loads(value)["signedData"].encode()
        assert dict(headers)["ce_fingerprint"] == hashlib.sha256(signed).hexdigest().encode(), path
    count += 1
print(f"{count} golden records read as the README shows")
assert count > 200
