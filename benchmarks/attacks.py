"""Robustness to hostile inputs: corrupted exams, models and command lines, thousands of each kind.

The inputs and the allowed outcomes are in ``tests/fuzz``; here they are tried by the thousands, in
child processes that may crash, hang or run out of memory.  Finished inputs are kept, so an
interrupted run is resumed.  A failure is reproduced by its number: ``--again "zip" 138``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import threading
from pathlib import Path
from typing import Any

import bolus
from tables import markdown, write

FUZZ = Path(__file__).parents[1] / "tests" / "fuzz"
sys.path.insert(0, str(FUZZ))

from attacker import FOLDERS, Attacker  # noqa: E402
from kinds import KINDS  # noqa: E402
from oracle import CHANGED, NOTED, REFUSED, SAME  # noqa: E402

CACHE = Path(__file__).parent / ".cache"
WORKERS = 2
BATCH = 50
"""Inputs that a worker takes at a time, all of one kind: memory is that kind's."""

Row = dict[str, Any]


def counts(total: int) -> dict[str, int]:
    """How many inputs of each kind."""
    whole = sum(kind.share for kind in KINDS.values())
    return {name: -(-total * kind.share // whole) for name, kind in KINDS.items()}


def tried(total: int, seed: int) -> list[Row]:
    """The rows of all inputs, each tried once with this code."""
    CACHE.mkdir(exist_ok=True)
    file = CACHE / f"attacks-{_digest_of_code()}-{seed}.jsonl"
    file.touch()
    rows = [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = {(row["kind"], row["number"]) for row in rows}
    missing = [
        [(kind, number) for number in range(start, min(start + BATCH, count))]
        for kind, count in counts(total).items()
        for start in range(0, count, BATCH)
    ]
    waiting = [left for part in missing if (left := [one for one in part if one not in done])]
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                batch = waiting.pop(0)
            attacker = Attacker()
            for kind, number in batch:
                row = {"kind": kind, "number": number, **attacker(kind, seed, number)}
                with lock, file.open("a") as lines:
                    rows.append(row)
                    lines.write(json.dumps(row) + "\n")
                    if "failure" in row:
                        print(f"{kind} {number}: {row['failure']}", flush=True)
            attacker.close()
            print(f"{len(rows)} inputs: {batch[0][0]}", flush=True)

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {(kind, n) for kind, count in counts(total).items() for n in range(count)}
    return [row for row in rows if (row["kind"], row["number"]) in wanted]


def _digest_of_code() -> str:
    """Digest of everything that determines an outcome: the package, and the inputs."""
    folders = [Path(bolus.__file__).parent, *map(Path, FOLDERS)]
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def table(rows: list[Row]) -> str:
    """One row per kind."""
    lines = []
    for kind in [*KINDS, ""]:
        own = [row for row in rows if kind in ("", row["kind"])]

        def count(outcome: str, own: list[Row] = own) -> str:
            return str(sum(row.get("outcome") == outcome for row in own))

        lines.append([
            kind or "all", str(len(own)), count(REFUSED), count(SAME), count(NOTED), count(CHANGED),
            str(sum("failure" in row for row in own)), f"{max(row['seconds'] for row in own):.1f}",
            f"{max(row['mib'] for row in own):.0f}",
        ])  # fmt: skip
    header = [
        "input", "count", "refused with a named error", "accepted, content the same",
        "accepted, with a finding", "accepted, changed (nothing has a checksum)", "failures",
        "slowest, s", "largest memory, MiB",
    ]  # fmt: skip
    return markdown(header, lines)


def main() -> None:
    """Write ``results/attacks.md``, or show the outcome of one input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", nargs=2, metavar=("KIND", "NUMBER"))
    asked = parser.parse_args()
    if asked.again:
        kind, number = asked.again
        found = Attacker()(kind, asked.seed, int(number))
        print(found.pop("failure", ""), found, sep="\n")
        return
    rows = tried(asked.count, asked.seed)
    failures = [f"{row['kind']} {row['number']}" for row in rows if "failure" in row]
    write("attacks", "Hostile inputs", [
        f"{len(rows)} inputs of seed {asked.seed}, each in a process with 4 GiB of memory. Every "
        "one must end in a named error that says which file and what is wrong, or in an exam (or "
        "maps) without NaN whose content equals that of the unmodified exam; where it differs, a "
        "finding must say so, unless the changed data have no checksum (a pixel of an uncompressed "
        "image, a plausible time). Anything else is a failure: another exception, a "
        "crash, no end within a minute, a warning or other output on standard error, a file left "
        "open or written elsewhere, a message that controls the terminal or holds the patient's "
        "name. Memory is that of the process or of one of its children, including the libraries. "
        "For a model, \"changed\" means that it gives finite maps; for the server, that everything "
        "is answered, and \"with a finding\" that an answer names an error.",
        markdown(["failures"], [[name] for name in failures]) if failures else "",
        table(rows),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
