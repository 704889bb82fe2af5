"""Decoding compressed pixels in a child process, seen from the parent.

gdcm aborts the process on damaged JPEG-LS and JPEG 2000, other decoders panic or allocate without
limit; here that costs one child and ends in one error that names the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bolus.acquire.headers import Slice
from bolus.errors import DamagedFile

PLUGINS = {
    "1.2.840.10008.1.2.4.50": "gdcm",  # JPEG Baseline, 8 bit, lossy
    "1.2.840.10008.1.2.4.51": "gdcm",  # JPEG Extended, 12 bit, lossy
    "1.2.840.10008.1.2.4.57": "gdcm",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70": "gdcm",  # JPEG Lossless, first-order prediction: the usual one
    "1.2.840.10008.1.2.4.80": "pyjpegls",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": "pyjpegls",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": "pylibjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "pylibjpeg",  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202": "pylibjpeg",  # HTJ2K lossless, RPCL
    "1.2.840.10008.1.2.4.203": "pylibjpeg",  # HTJ2K
    "1.2.840.10008.1.2.5": "pydicom",  # RLE
}
"""One decoder per codec, by transfer syntax: the fastest one that gave the right pixels."""
DECODE_TIMEOUT_S = 30.0
START_TIMEOUT_S = 60.0
"""Importing the decoders on a cold disk takes seconds."""
CRASHED = "the decoder crashed"

Stored = NDArray[np.integer[Any]]


class Decoder:
    """A child process that decodes compressed images, one at a time; another one if it dies."""

    def __enter__(self) -> Decoder:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self) -> None:
        self._child = subprocess.Popen(
            # -P: a module in the user's folder must not be imported instead of ours
            [sys.executable, "-P", "-m", "bolus.acquire.decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # a pool of threads per child would eat its address space
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to: IO[bytes] = self._child.stdin
        self._from: IO[bytes] = self._child.stdout
        self._timeout_s = START_TIMEOUT_S
        self._sent: bytes | None = None

    def _stop(self) -> None:
        self._child.kill()
        for pipe in (self._to, self._from):
            try:
                pipe.close()
            except OSError:  # what was left to send to a dead child
                continue
        self._child.wait()

    def decode(self, one: Slice, data: bytes) -> Stored:
        """Decode one image of a file.

        Parameters
        ----------
        data
            The whole file.

        Raises
        ------
        DamagedFile
            If the decoder refuses, dies, or doesn't finish in time.
        """
        size = 0 if data is self._sent else len(data)
        request = {
            "plugin": PLUGINS[one.encoding.syntax],
            "frame": one.encoding.frame,
            "bytes": size,
        }
        self._sent = data
        answer, body = self._ask(json.dumps(request).encode(), data if size else b"")
        reason = answer.get("error")
        if reason == CRASHED:
            self._stop()
            self._start()
        if reason is None and answer.get("shape") != [one.rows, one.columns]:
            reason = f"{answer.get('shape')} pixels instead of {[one.rows, one.columns]}"
        if reason is not None:
            raise DamagedFile(
                f"{one.name}: its compressed pixels can't be decoded ({reason}); copy or export "
                "the exam again, uncompressed if possible."
            )
        return np.frombuffer(body, dtype=answer["dtype"]).reshape(one.rows, one.columns)

    def _ask(self, request: bytes, data: bytes) -> tuple[dict[str, Any], bytes]:
        watchdog = threading.Timer(self._timeout_s, self._child.kill)
        watchdog.start()
        try:
            self._to.write(request + b"\n" + data)
            self._to.flush()
            line = self._from.readline()
            answer: dict[str, Any] = json.loads(line) if line else {"error": CRASHED}
            body = self._from.read(answer.get("bytes", 0))
        except OSError:
            return {"error": CRASHED}, b""
        finally:
            watchdog.cancel()
        self._timeout_s = DECODE_TIMEOUT_S
        if len(body) < answer.get("bytes", 0):
            return {"error": CRASHED}, b""
        return answer, body
