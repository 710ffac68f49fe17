#!/usr/bin/env python3
"""Writes the files that documentation shows into it, so that what it shows is what is tested.

A block is replaced by the file that the line before it names:

    <!-- file: examples/third-party-engine/src/main.rs -->
    ```rust
    …
    ```

doc_snippets.py           replace the blocks
doc_snippets.py --check   fail when one is not what its file holds
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- file: (\S+) -->\n```\w*\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)


def main():
    old = []
    for doc in sorted((ROOT / "docs").glob("*.md")):
        text = doc.read_text()
        wanted = BLOCK.sub(lambda block: block[1] + (ROOT / block[2]).read_text() + block[4], text)
        if wanted != text:
            old.append(doc.name)
            if "--check" not in sys.argv[1:]:
                doc.write_text(wanted)
    if old and "--check" in sys.argv[1:]:
        sys.exit(f"docs: {', '.join(old)} shows old files; run scripts/doc_snippets.py")


if __name__ == "__main__":
    main()
