"""Mutations: of bytes, and of values inside files that have a structure."""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import torch
import yaml

Mutation = Callable[[Random, bytes], bytes]

MAGIC = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80")
DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 0.5, -0.5, 1e308, 1e-308),
    *(
        float("nan"),
        float("inf"),
        "",
        "x",
        "none",
        "x" * 20_000,
        "\x1b[2J",
        "\0",
        "../../x",
        "=1+1",
    ),
    *("1e999", "\ud800", [], {}, [None], [1, "a"], {"a": 1}, {"": {}}, DEEP),
)


def flip(random: Random, data: bytes) -> bytes:
    """Invert some bits."""
    changed = bytearray(data or b"\0")
    for _ in range(random.choice((1, 2, 4, 16, 64))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def overwrite(random: Random, data: bytes) -> bytes:
    """Write extreme numbers, most often near the beginning, where headers are."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8))):
        size = min(len(changed), 256) if random.random() < 0.7 else len(changed)
        at, magic = random.randrange(size + 1), random.choice(MAGIC)
        changed[at : at + len(magic)] = magic
    return bytes(changed)


def cut(random: Random, data: bytes) -> bytes:
    """Cut the end off, or a piece out."""
    start = random.randrange(len(data) + 1)
    end = len(data) if random.random() < 0.5 else random.randrange(start, len(data) + 1)
    return data[:start] + data[end:]


def repeat(random: Random, data: bytes) -> bytes:
    """Repeat a piece, possibly often."""
    start = random.randrange(len(data) + 1)
    piece = data[start : start + random.choice((1, 8, 64, 512))]
    return data[:start] + piece * random.choice((2, 10, 1000)) + data[start:]


def noise(random: Random, data: bytes) -> bytes:
    """Keep some of the beginning before noise."""
    kept = data[: random.choice((0, 4, 8, 64, 512))]
    return kept + random.randbytes(random.choice((0, 10, 1000)))


BYTES: tuple[Mutation, ...] = (flip, overwrite, cut, repeat, noise)


def change_value(random: Random, content: Any) -> Any:
    """Replace, remove or copy a random node of nested lists and mappings."""
    if isinstance(content, dict | list) and content and random.random() < 0.85:
        place = random.choice(list(content) if isinstance(content, dict) else range(len(content)))
        changed: Any = content.copy()
        chance = random.random()
        if chance < 0.1:
            del changed[place]
        elif chance < 0.15 and isinstance(changed, dict):
            changed[random.choice(("x", "", 5, None))] = random.choice(VALUES)
        else:
            changed[place] = change_value(random, content[place])
        return changed
    return random.choice(VALUES)


def in_json(random: Random, data: bytes) -> bytes:
    """Change a value of a JSON file."""
    return json.dumps(change_value(random, json.loads(data))).encode("utf-8", "replace")


def in_yaml(random: Random, data: bytes) -> bytes:
    """Change a value of a YAML file."""
    changed = change_value(random, yaml.safe_load(data))
    return yaml.safe_dump(changed, allow_unicode=True).encode("utf-8", "replace")


def in_csv(random: Random, data: bytes) -> bytes:
    """Change a cell of a CSV file."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    row = random.choice(rows)
    row[random.randrange(len(row))] = str(random.choice(VALUES))
    if random.random() < 0.3:
        row.append(str(random.choice(VALUES)))
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def in_safetensors(random: Random, data: bytes) -> bytes:
    """Change a value of the header, or of the metadata in it; the tensors stay."""
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    if random.random() < 0.7:
        metadata = json.loads(header["__metadata__"]["eanet"])
        header["__metadata__"]["eanet"] = json.dumps(change_value(random, metadata))
    else:
        header = change_value(random, header)
    text = json.dumps(header).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def in_checkpoint(random: Random, data: bytes) -> bytes:
    """Change a value of a checkpoint of PyTorch."""
    content = torch.load(io.BytesIO(data), weights_only=True)
    file = io.BytesIO()
    torch.save(change_value(random, content), file)
    return file.getvalue()


def in_npy(random: Random, data: bytes) -> bytes:
    """Change the type or the shape that an array claims."""
    kinds = ("|u1", "|O", "<f8", "<U9", "|V3", [("a", "<i4")], "x")
    shapes = ((), (0,), (10**12, 8, 8, 3), (5, 8, 8, 3), (-1, 8, 8, 3), (10**30,), (8, 8, 3))
    header = {
        "descr": random.choice(kinds),
        "fortran_order": random.choice((False, True)),
        "shape": random.choice(shapes),
    }
    file = io.BytesIO()
    np.lib.format.write_array_header_2_0(file, header)  # type: ignore[no-untyped-call]
    return file.getvalue() + data[128:]


NAMES = (
    *("../x.png", "/tmp/x.png", "a/../../x.png", "..\\x.png", "C:\\x.png", "x" * 300 + ".png"),
    *("a.png/b.png", "\x1b[2J.png", "=1+1/x.png", "", ".", "a\nb/x.png", "A/0.png", "CON/x.png"),
    *("a/" * 200 + "x.png", "labels.csv", "e\u0301/x.png", "\u202egpj.png"),
)


def in_zip(random: Random, data: bytes) -> bytes:
    """Change a member of an archive: its name, its content, how it is packed, how large it says."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for info in old.infolist():
            name, content = info.filename, old.read(info)
            chance = random.random()
            if chance < 0.2:
                name = random.choice(NAMES)
            elif chance < 0.3:
                content = random.choice(BYTES)(random, content)
            elif chance < 0.35:
                content = bytes(random.choice((0, 10**6, 3 * 10**7)))
            info = zipfile.ZipInfo(name)
            info.compress_type = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            info.external_attr = random.choice((0, 0o644, 0o120777, 0o10644, 0o40755)) << 16
            new.writestr(info, content)
    packed = file.getvalue()
    return packed if random.random() < 0.7 else flip(random, packed)


def in_tar(random: Random, data: bytes) -> bytes:
    """Change a member of an archive: its name, its kind, its content, where it points."""
    file = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=file, mode="w") as new:
        for member in old:
            content = (old.extractfile(member) or io.BytesIO()).read()
            chance = random.random()
            if chance < 0.2:
                member.name = random.choice(NAMES)
            elif chance < 0.3:
                member.type = random.choice((b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"x", b"S"))
                member.linkname = random.choice(("/etc/passwd", "../x", member.name))
            elif chance < 0.4:
                content = random.choice(BYTES)(random, content)
            elif chance < 0.45:
                member.pax_headers = {"size": str(random.choice(VALUES)), "x": "y" * 5000}
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    packed = file.getvalue()
    if random.random() < 0.3:
        packed = flip(random, packed)
    return gzip.compress(packed, 1) if data.startswith(b"\x1f\x8b") else packed
