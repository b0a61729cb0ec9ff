"""Prints awkward values as YAML, as the reference's decision task dumps parameters, and as JSON."""
import json, random, sys, yaml

seed = int(sys.argv[1])
rng = random.Random(seed)
awkward = [
    "", " ", "yes", "No", "on", "OFF", "y", "n", "true", "null", "~", "Null", "nil", "=", "<<", "-", "--", "---", "...",
    "0", "-1", "+1", "0777", "0o17", "0x1f", "0b11", "1_000", "1:30", "1:30:05.5", "1e3", "1.5e3", "1.5e+3", ".5", "-.5",
    ".inf", "-.INF", ".nan", "1.", "12345e6789012345678901234567890123456789", "1" * 40, "0" * 40, "e" * 40, "5e" * 20,
    "2024-01-02", "2024-01-02 03:04:05", "2024-01-02T03:04:05Z", "12:34", "190:20:30", "a: b", "a #b", "#a", "- a", "? a",
    "[a", "{a", "*a", "&a", "!a", "|a", ">a", "%a", "@a", "`a", "'", '"', "'a'", '"a"', "a'b\"c", "a\\b", "\\n",
    "line\nbreak", "trailing\n", "\nleading", "a\n\n\nb\n", "  indented\n    more\n", "tab\there", "\ttab", "nul\x00",
    "bell\x07", "\x7f", "\xa0", "\ufeff", "\u00e9", "\U0001f680", "caf\u00e9: \u2603", "a" * 300,
    "word " * 60, "https://hg.example.com/x#frag", "a, b", "a]", "key: [", None, True, False, 0, -1, 10**15, 2**63 - 1, -2**63,
    2**64 - 1, 0.5, -1.5, 1e16, 1e-7, 1.5e300, 100.0, [], {}, [[]], [{}], {"": ""}, {"a b": {"c: d": [None, "x"]}},
]
alphabet = "abe019+-._:#'\"\\ \n\t[]{},&*!|>%@`?=~\u00e9"


def value(depth):
    kind = rng.randrange(10)
    if depth and kind == 0:
        return [value(depth - 1) for _ in range(rng.randrange(4))]
    if depth and kind == 1:
        return {text(): value(depth - 1) for _ in range(rng.randrange(4))}
    return rng.choice(awkward) if kind < 6 else text()


def text():
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(12)))


shared = ["shared", {"by": "two"}]
for parameters in [{str(n): v for n, v in enumerate(awkward)}, {"a": shared, "b": [shared]}] + [
    {f"k{n}": value(3) for n in range(6)} for _ in range(300)
]:
    dumped = yaml.safe_dump(parameters, allow_unicode=True, default_flow_style=False)
    # PyYAML doesn't read back all that it writes; what it reads is what counts.
    print(json.dumps([dumped, yaml.load(dumped, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))]))
