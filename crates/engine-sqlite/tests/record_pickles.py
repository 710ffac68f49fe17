"""Records how Python pickles records of pending files; writes tests/data/pickles.jsonl.

Run with any Python 3: python3 tests/record_pickles.py
Each line holds the protocol, the pickle as hexadecimal digits, and the values that are in it, with
bytes as the text that they are in UTF-8.
"""
import json
import pathlib
import pickle

AT = "0000000005.00000"
LATER = "0000000006.00000_000000000000000a"

RECORDS = [
    ("c1", "0000000001.00000", "0", 0, 0, 0, 0),
    ("o", AT, 70000, "", "", 0, 0, LATER, LATER),
    ("o", AT, 7, "text/plain", "etag", 1),
    ("o", AT, 255, "text/plain", "etag", 0, 256, None, None),
    ("", "", 65535, "a", "a", 65536, -1),
    ("\u00e9\u2603\U0001f600", AT, 2**31 - 1, "t", "e", 0, 2**31, None, None),
    ("o", AT, 2**63 - 1, "t", "e", 0, -(2**63), AT, None),
    ("o", AT, -129, "t", "e", -(2**31), -(2**31) - 1, None, AT),
    ("o", AT, 2**39, "t", "e", 2**40 - 1, 2**47, -(2**39), -(2**55)),
    ("c", 5, 6.5, "7", "70", True, False),
    ("a:b\\n\n\t'\"\x00\x1a\\u0041", AT, 0, "t;swift_bytes=9", "e", 0, 0),
    (b"bytes", AT.encode(), 1, b"t", "\u2603".encode(), 0, 0),
    ("x" * 300, AT, 1, "y" * 256, "z" * 255, 0, 0),
    ["in", "a", 1, "list", "e", 0, 0],
    ("three", 1, None),
    (),
]


def plain(value):
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value


def main():
    target = pathlib.Path(__file__).parent / "data" / "pickles.jsonl"
    with target.open("w") as lines:
        for record in RECORDS:
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                pickled = pickle.dumps(record, protocol=protocol)
                entry = {
                    "protocol": protocol,
                    "pickle": pickled.hex(),
                    "values": plain(record),
                }
                lines.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
