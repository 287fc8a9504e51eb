"""What anybody would write first: every line of every file through json; prints how many sessions have not ended.

python benchmarks/line_loop.py FOLDER
"""

import json
import os
import sys


def unfinished(folder: str) -> int:
    """How many files below a folder do not end in a footer."""
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            last = None
            try:
                with open(entry.path, "rb") as file:
                    for line in file:
                        last = json.loads(line)
            except (ValueError, OSError):
                last = None
            count += not isinstance(last, dict) or last.get("type") != "footer"
    return count


if __name__ == "__main__":
    print(unfinished(sys.argv[1]))
