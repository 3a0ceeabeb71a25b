"""Usage: check.py GENERATED CONTRACT WORK [--report]

What code generators make of the schemas: GENERATED/<language>/<schema>/… is what `generate.mjs` has made, and for pydantic what
datamodel-code-generator makes here. In every language each field that the contract names must have the type that the schema says. Where
the compiler is at hand the code is compiled; it then reads the value of every golden record, and of every line of WORK/random.jsonl if there is
such a file, and writes it back: the named fields must come out as they went in.

--report prints the type of each of the event's fields in each language and checks nothing.
"""

import ast
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SCHEMAS = {
    "event": "Event",
    "event-headers": "EventHeaders",
    "structured-event": "StructuredEvent",
    "structured-event-headers": "StructuredEventHeaders",
    "quarantine": "QuarantineRecord",
    "quarantine-headers": "QuarantineHeaders",
}
LANGUAGES = ("typescript", "java", "go", "csharp", "kotlin", "python", "pydantic", "modelina")


# ---- what the schemas say ------------------------------------------------------------------------------------------------------


def leaves(root, schema, path=()):
    """`(path, schema)` of each named field, those of objects within included."""
    for name, field in schema["properties"].items():
        while "anyOf" in field:
            # An object or null.
            field = next(one for one in field["anyOf"] if one != {"type": "null"})
        if "$ref" in field:
            field = root["$defs"][field["$ref"].removeprefix("#/$defs/")]
        yield (*path, name), field
        if "properties" in field:
            yield from leaves(root, field, (*path, name))


# ---- what was generated --------------------------------------------------------------------------------------------------------


def blocks(text, pattern):
    """The text of each class: from one match of the pattern, which names it, to the next."""
    starts = list(re.finditer(pattern, text, re.MULTILINE))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    found = {}
    for start, end in zip(starts, ends):
        # C# may declare parts of a class in several places.
        found[start[1]] = found.get(start[1], "") + text[start.end() : end]
    return found


def fields(block, pattern):
    """`{name: type}` by a pattern with these two groups."""
    return {found["name"]: found["type"].strip() for found in re.finditer(pattern, block, re.MULTILINE)}


def python_fields(block):
    """Of dataclasses and of pydantic's models. Attributes may have names of their own: how they are read, or their alias, says which field they
    are."""
    read = {found[1]: found[2] for found in re.finditer(r'^        (\w+) = .*obj\.get\("([^"]+)"\)', block, re.MULTILINE)}
    types = {}
    (made,) = (node for node in ast.parse("class Made" + block).body if isinstance(node, ast.ClassDef))
    for node in made.body:
        if isinstance(node, ast.AnnAssign):
            keywords = node.value.keywords if isinstance(node.value, ast.Call) else []
            alias = next((keyword.value.value for keyword in keywords if keyword.arg == "alias"), None)
            types[alias or read.get(node.target.id, node.target.id)] = ast.unparse(node.annotation)
    return types


def kotlin_fields(block):
    # The parameters of the class alone.
    block = block.split("\n)", 1)[0]
    found = re.finditer(r'^    (?:@get:JsonProperty\((?:"(?P<json>[^"]+)")?.*\n    )?val `?(?P<name>\w+)`?: (?P<type>.+?)(?: = null)?,?$', block, re.MULTILINE)
    return {one["json"] or one["name"]: one["type"] for one in found}


READERS = {
    "typescript": (r"^export (?:interface|enum|type) (\w+)", lambda block: fields(block, r'^    "?(?P<name>[\w-]+)"?\??: (?P<type>.+);$')),
    "modelina": (r"^export (?:interface|enum|type) (\w+)", lambda block: fields(block, r"^  '(?P<name>[\w-]+)'\??: (?P<type>.+);$")),
    "java": (
        r"^public (?:class|enum) (\w+)",
        lambda block: fields(block, r'@JsonProperty\("(?P<name>[^"]+)"\)\n(?:    @.*\n)*    public (?P<type>(?!void).+) get\w+\('),
    ),
    "go": (r"^type (\w+) ", lambda block: fields(block, r'^\t\w+ +(?P<type>\S.*?) +`json:"(?P<name>[^",]+)[^`]*`')),
    "csharp": (
        r"^    public (?:partial class|enum) (\w+)",
        lambda block: fields(block, r'JsonPropertyName\("(?P<name>[^"]+)"\)\]\n(?: +\[.*\n)* +public (?P<type>.+) \w+ \{ get;'),
    ),
    "kotlin": (r"^(?:data class|enum class) (\w+)", kotlin_fields),
    "python": (r"^(?:@dataclass\n)?class (\w+)", python_fields),
    "pydantic": (r"^class (\w+)", python_fields),
}


def classes(folder, language, schema):
    """`{class: {field: type}}`."""
    place = folder / language / schema if language != "modelina" else folder / language
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(place.iterdir()) if file.is_file() and file.suffix in SUFFIXES)
    pattern, read = READERS[language]
    return {name: read(block) for name, block in blocks(text, pattern).items()}


SUFFIXES = {".ts", ".java", ".go", ".cs", ".kt", ".py"}


def bare(kind):
    """A type without what says that it may be null or absent."""
    kind = re.sub(r"^\*|\?$", "", kind)
    return "|".join(part for part in (part.strip() for part in kind.split("|")) if part not in ("null", "undefined", "None"))


TEXT = {"string", "String", "str"}
CONSTRAINED = re.compile(r"^\(? ?constr\(.*\) ?\)?$")
TIMES = {"Date", "OffsetDateTime", "time.Time", "DateTimeOffset", "datetime", "AwareDatetime"}
IDS = {"UUID", "Guid"}
MAPS = re.compile(r"^\{ \[key: string\]: string \}$|^(?:Map|Dictionary|Record|dict|map)[<\[]s(?:tr|tring)[,\]>] ?s(?:tr|tring)[>\]]?$", re.IGNORECASE)


def is_text(kind):
    return kind in TEXT or bool(CONSTRAINED.match(kind))


def fits(kind, field, all_classes):
    """Whether a type is that of a field."""
    if "properties" in field:
        return kind in all_classes
    if field.get("type") == "object":
        # pydantic has a class around it.
        return bool(MAPS.match(all_classes.get(kind, {}).get("root", kind)))
    if "const" in field:
        return is_text(kind) or kind in all_classes or bool(re.match(r"""^(?:Literal\[)?['"].*['"]\]?$""", kind))
    if field.get("format") == "date-time":
        return is_text(kind) or kind in TIMES
    if field.get("format") == "uuid":
        return is_text(kind) or kind in IDS
    return is_text(kind)


def types(root, all_classes, top):
    """`{path: type}` of each named field, by following the classes from the outermost one."""
    found = {}

    def follow(name, schema, path):
        members = all_classes.get(name, {})
        for field, part in leaves(root, schema):
            if len(field) > 1:
                continue
            kind = members.get(field[0])
            found[(*path, *field)] = kind
            if "properties" in part:
                follow(bare(kind or ""), part, (*path, *field))

    follow(top, root, ())
    return found


def outermost(language, schema, all_classes, root):
    """The class of the whole. Generators choose names of their own."""
    wanted = set(root["properties"])
    fitting = [name for name, members in all_classes.items() if wanted <= set(members)]
    assert fitting, f"{language}: no class has the fields of {schema}: {wanted}"
    return fitting[0]


def check_types(folder, language, schema, root):
    all_classes = classes(folder, language, schema)
    wrong = []
    found = types(root, all_classes, outermost(language, schema, all_classes, root))
    for path, field in leaves(root, root):
        kind = found[path]
        if kind is None or not fits(bare(kind), field, all_classes):
            wrong.append(f"{language}: {schema}: {'.'.join(path)} is {kind}")
    return len(found), wrong


def report(folder, contract):
    root = json.loads((contract / "event.schema.json").read_text())
    columns = {}
    for language in LANGUAGES:
        all_classes = classes(folder, language, "event")
        columns[language] = types(root, all_classes, outermost(language, "event", all_classes, root))
    print("| field |", " | ".join(LANGUAGES), "|")
    print("|---" * (len(LANGUAGES) + 1) + "|")
    for path, _ in leaves(root, root):
        shown = [str(columns[language].get(path)).replace("|", "\\|") for language in LANGUAGES]
        print(f"| `{'.'.join(path)}` | " + " | ".join(f"`{one}`" for one in shown) + " |")


# ---- what the code does with records -------------------------------------------------------------------------------------------


def moment(text):
    """Milliseconds since the year 1, of an RFC 3339 time as any language writes it."""
    found = re.fullmatch(r"(\d{1,4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|\+00|[+-]\d\d:?\d\d)?", text)
    assert found, text
    year, month, day, hour, minute = (int(part) for part in found.groups()[:5])
    second, fraction, zone = int(found[6] or 0), (found[7] or "0")[:3].ljust(3, "0"), found[8]
    offset = 0
    if zone not in (None, "Z", "+00"):
        digits = zone.replace(":", "")
        offset = int(digits[0] + "1") * (int(digits[1:3]) * 60 + int(digits[3:5]))
    minutes = (datetime.date(year, month, day).toordinal() * 24 + hour) * 60 + minute - offset
    return (minutes * 60 + second) * 1000 + int(fraction)


def differences(root, schema, went_in, came_out, path=()):
    """Named fields that did not come out as they went in."""
    for (name,), field in (leaf for leaf in leaves(root, schema) if len(leaf[0]) == 1):
        one, other = went_in.get(name), came_out.get(name)
        here = (*path, name)
        if isinstance(one, dict) and isinstance(other, dict):
            if "properties" not in field:
                if {key: value for key, value in other.items() if value is not None} != one:
                    yield here, one, other
            else:
                yield from differences(root, field, one, other, here)
        elif field.get("format") == "date-time" and isinstance(one, str) and isinstance(other, str):
            if moment(one) != moment(other):
                yield here, one, other
        elif one != other:
            yield here, one, other


def run(command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, encoding="utf-8", **more)
    assert done.returncode == 0, f"{' '.join(str(part) for part in command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def typescript(source, work, tools):
    shutil.copy(source / "types.ts", work)
    shutil.copy(HERE / "parse.ts", work)
    (work / "package.json").write_text('{"type": "module"}')
    # What is shared is generated for every dialect: the strictest that it passes.
    run([tools / "js/node_modules/.bin/tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--types", "node",
         "--typeRoots", tools / "js/node_modules/@types", "parse.ts"], cwd=work)
    return ["node", work / "parse.js"]


def java(source, work, tools):
    jars = f"{tools}/java/*"
    run(["javac", "-cp", jars, "-d", work, *sorted(source.glob("*.java")), HERE / "Parse.java"])
    return ["java", "-cp", f"{jars}:{work}", "icr.Parse"]


def go(source, work, tools):
    shutil.copy(source / "types.go", work)
    shutil.copy(HERE / "parse.go", work)
    (work / "go.mod").write_text("module parse\n\ngo 1.26\n")
    run(["go", "build", "-o", "parse", "."], cwd=work)
    return [work / "parse"]


def kotlin(source, work, tools):
    jars = ":".join(str(jar) for jar in sorted((tools / "java").glob("*.jar")))
    # quicktype writes a name that Jackson has given up; its successor is spelled thus.
    made = (source / "Types.kt").read_text().replace("PropertyNamingStrategy.LOWER", "PropertyNamingStrategies.LOWER")
    (work / "Types.kt").write_text(made)
    run(["java", "-Xmx1g", "-cp", jars, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect", "-nowarn", "-cp", jars, "-d", work,
         work / "Types.kt", HERE / "Parse.kt"])
    return ["java", "-cp", f"{jars}:{work}", "icr.ParseKt"]


def python(source, work, tools):
    shutil.copy(source / "types.py", work / "generated.py")
    return [sys.executable, HERE / "parse.py", "quicktype", work]


def pydantic(source, work, tools):
    shutil.copy(source / "types.py", work / "generated.py")
    return [sys.executable, HERE / "parse.py", "pydantic", work]


COMPILERS = {
    "typescript": (typescript, "node"),
    "java": (java, "javac"),
    "go": (go, "go"),
    "kotlin": (kotlin, "java"),
    "python": (python, sys.executable),
    "pydantic": (pydantic, sys.executable),
}


def check_records(language, source, work, tools, root, lines):
    compile_it, _ = COMPILERS[language]
    work.mkdir(parents=True)
    command = compile_it(source, work, tools)
    out = lines_of(run(command, input="".join(line + "\n" for line in lines)))
    assert len(out) == len(lines), f"{language}: {len(lines)} records went in and {len(out)} came out"
    wrong = []
    for line, again in zip(lines, out):
        wrong += [f"{language}: {'.'.join(path)} was {one!r} and is {other!r} in {line}" for path, one, other in
                  differences(root, root, json.loads(line), json.loads(again))]
    return wrong


def lines_of(text):
    """Not `splitlines`, which takes characters that JSON does not escape for ends of lines."""
    return [line for line in text.split("\n") if line]


def golden_values(contract):
    """Values of event records in binary mode."""
    for file in sorted((contract / "golden").glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        headers = dict(record["headers"])
        if "ce_reason" not in headers and not headers["content-type"].startswith("application/cloudevents"):
            yield record["value"]


def main(generated, contract, work, tools, only_report):
    files = {schema: contract / f"{schema}.schema.json" for schema in SCHEMAS} | {"broken": generated / "broken.schema.json"}
    for schema, file in files.items():
        name = SCHEMAS.get(schema, "Event")
        folder = generated / "pydantic" / schema
        folder.mkdir(parents=True, exist_ok=True)
        run([sys.executable, "-m", "datamodel_code_generator", "--input", file, "--input-file-type",
             "jsonschema", "--output", folder / "types.py", "--output-model-type", "pydantic_v2.BaseModel", "--class-name", name,
             "--disable-timestamp", "--formatters", "builtin"])
    if only_report:
        return report(generated, contract)
    roots = {schema: json.loads((contract / f"{schema}.schema.json").read_text()) for schema in SCHEMAS}
    wrong = []
    for language in LANGUAGES:
        count, before = 0, len(wrong)
        for schema, root in roots.items():
            # AsyncAPI's generator makes classes of payloads only.
            if language == "modelina" and schema.endswith("-headers"):
                continue
            seen, found = check_types(generated, language, schema, root)
            count += seen
            wrong += found
        if language != "modelina":
            _, noticed = check_types(generated, language, "broken", roots["event"])
            assert [one.split(" is ")[0] for one in noticed] == [f"{language}: broken: state"], noticed
        print(f"{language}: {count} named fields, {len(wrong) - before} of them not of the type that the schema says", flush=True)
    values = list(golden_values(contract))
    random = work / "random.jsonl"
    records = [*values, *(lines_of(random.read_text(encoding="utf-8")) if random.exists() else [])]
    assert len(values) > 100, len(values)
    for language, (_, program) in COMPILERS.items():
        if not shutil.which(program):
            print(f"{language}: {program} is missing: not compiled")
            continue
        wrong += check_records(language, generated / language / "event", work / f"compiled-{language}", tools, roots["event"], records)
        print(f"{language}: reads {len(values)} golden records and {len(records) - len(values)} of random payloads", flush=True)
    for line in wrong[:50]:
        print(f"FAILED {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--report"]
    paths = [pathlib.Path(argument).resolve() for argument in arguments]
    main(*paths, only_report="--report" in sys.argv)
