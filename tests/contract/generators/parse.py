"""Usage: parse.py quicktype|pydantic FOLDER

Reads the value of a record on each line of standard input into the types of FOLDER/generated.py, and writes it again.
"""

import json
import sys

kind, folder = sys.argv[1:]
sys.path.insert(0, folder)
import generated

for line in sys.stdin.buffer:
    if kind == "pydantic":
        print(generated.Event.model_validate_json(line).model_dump_json())
    else:
        print(json.dumps(generated.event_to_dict(generated.event_from_dict(json.loads(line)))))
