"""Reading an untrusted joblib file: in a process of its own that has few rights and can open nothing.

`pickled` executes nothing of a file; this is the second wall, should there be a hole in it. The child has only the
standard library, a memory and a CPU cap, no way to open a file, a socket or a process (no file descriptor is left
to get, and an audit hook ends it at any attempt), reads the file as its standard input, and gives back the bytes of a
safetensors file: numbers and JSON, never a pickle.
"""

import bz2
import codecs
import gc
import json
import lzma
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from drugscan.models import pickled, pipeline
from drugscan.models.errors import ModelError
from drugscan.models.raw_arrays import Array

_REFUSED: Final = 3
"""Exit code of a child that says on stderr why it refuses the file."""
_START: Final = """
import sys, types
for name, folder in zip(("drugscan", "drugscan.models"), sys.argv[1:3]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from drugscan.models import quarantine
quarantine.child(*map(int, sys.argv[3:]))
"""
"""Loads this module without the packages around it, whose __init__ would load numpy and more."""


@dataclass(frozen=True)
class Limits:
    """What a file may cost."""

    content_bytes: int = 1 << 30
    """Of the file, and of what it unpacks to."""
    memory_bytes: int = 4 << 30
    cpu_seconds: int = 300


DEFAULT_LIMITS: Final = Limits()


def run(path: str, limits: Limits) -> bytes:
    """The pipeline in a local joblib file, as the bytes of a safetensors file; raises `ModelError` without the path.

    It holds the arrays of `pipeline.facts`, and `facts`: the rest as JSON.
    """
    import subprocess

    here = Path(__file__).parent
    numbers = [str(each) for each in (limits.content_bytes, limits.memory_bytes, limits.cpu_seconds)]
    command = [sys.executable, "-I", "-S", "-B", "-c", _START, str(here.parent), str(here), *numbers]
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    try:
        with open(path, "rb") as file:
            seconds = 60 + 10 * limits.cpu_seconds
            done = subprocess.run(command, stdin=file, capture_output=True, timeout=seconds, env=kept, check=False)
    except OSError as error:
        raise ModelError(f"it cannot be read: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"reading it took longer than {seconds} s") from error
    said = done.stderr.decode("ascii", "replace")[:500]
    if done.returncode == _REFUSED:
        raise ModelError(said)
    if done.returncode:
        raise ModelError(
            f"reading it was stopped (exit code {done.returncode} {said}): it asks for more than "
            f"{limits.cpu_seconds} s, {limits.memory_bytes:,} bytes of memory, or something forbidden"
        )
    return done.stdout


# --- the child ------------------------------------------------------------------------------------------------


def child(content_bytes: int, memory_bytes: int, cpu_seconds: int) -> NoReturn:
    """Read a joblib file from stdin, write a safetensors file to stdout; ends the process."""
    try:
        confine(memory_bytes, cpu_seconds)
        content = unpacked(sys.stdin.buffer.read(content_bytes + 1), content_bytes)
        described, arrays = pipeline.facts(pickled.read(content))
        for part in _safetensors(described, arrays):
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
    except ModelError as error:
        _leave(str(error), _REFUSED)
    except MemoryError:
        _leave(f"it asks for more than {memory_bytes:,} bytes of memory", _REFUSED)
    except BaseException as error:  # whatever it is: no traceback, which would open files
        _leave(type(error).__name__, 1)
    os._exit(0)


def _leave(reason: str, code: int) -> NoReturn:
    """End at once: no clean-up of millions of objects, nothing that could open a file."""
    os.write(2, reason.encode("ascii", "replace"))
    os._exit(code)


def confine(memory_bytes: int, cpu_seconds: int) -> None:
    """Give up, for good, all that reading from stdin and writing to stdout does not need."""
    import resource

    for name in ("utf-8", "latin-1", "utf-32-le", "ascii"):
        codecs.lookup(name)  # a first use would import a module
    gc.disable()
    wanted = {"CPU": cpu_seconds, "CORE": 0, "FSIZE": 0, "NPROC": 0, "NOFILE": 0}
    if sys.platform != "darwin":  # where it cannot be set
        wanted["AS"] = memory_bytes
    for name, value in wanted.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    sys.addaudithook(_forbid)


def _forbid(event: str, _: object) -> None:
    """Whatever Python's runtime reports (import, open, socket, exec, subprocess, ctypes, ...) is one too many."""
    raise PermissionError(f"{event} is forbidden here")


def unpacked(data: bytes, limit: int) -> bytes:
    """The content of a file that joblib wrote, compressed or not; raises `ModelError` when it is over `limit` bytes."""
    if len(data) > limit:
        raise ModelError(f"it is larger than {limit:,} bytes")
    if data[:2] == b"ZF":
        raise ModelError("it is in the format of joblib before 0.10; load and dump it again with a newer joblib")
    if data[:4] == b"\x04\x22\x4d\x18":
        raise ModelError("it is compressed with lz4; dump it again with compress='zlib', or without")
    if data[:4] == b"PK\x03\x04":
        raise ModelError("it is a zip archive (of skops or numpy?), not a joblib file")
    machines: dict[bytes, Callable[[], Any]] = {
        b"\x1f\x8b": lambda: zlib.decompressobj(31),
        b"BZ": bz2.BZ2Decompressor,
        b"\xfd7zXZ": lambda: lzma.LZMADecompressor(memlimit=1 << 28),
        b"\x5d\x00": lambda: lzma.LZMADecompressor(memlimit=1 << 28),
        b"\x78": zlib.decompressobj,
    }
    machine = next((make for prefix, make in machines.items() if data.startswith(prefix)), None)
    return data if machine is None else _inflated(machine(), data, limit)


def _inflated(machine: Any, data: bytes, limit: int) -> bytes:  # noqa: ANN401
    try:
        content: bytes = machine.decompress(data, limit + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise ModelError(f"it is compressed and damaged ({error})") from error
    if len(content) > limit:
        raise ModelError(f"it unpacks to more than {limit:,} bytes")
    if not machine.eof:
        raise ModelError("it is compressed and cut off")
    return content


def _safetensors(described: dict[str, object], arrays: dict[str, Array]) -> list[Any]:
    """The parts of a safetensors file, written by hand: there is no package here that does."""
    try:
        text = json.dumps(described, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ModelError("its vocabulary holds half characters (lone surrogates)") from error
    parts: list[tuple[str, str, tuple[int], Any]] = [("facts", "U8", (len(text),), text)]
    parts += [(name, {"f4": "F32", "f8": "F64"}[a.code], (a.shape[-1],), a.data) for name, a in arrays.items()]
    header, end = {}, 0
    for name, dtype, shape, data in parts:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(data)]}
        end += len(data)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return [len(head).to_bytes(8, "little"), head, *(data for *_, data in parts)]
