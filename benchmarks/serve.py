"""A server under load: wrk's clients ask `eanet serve` for answers, as fast as they come.

    python -m benchmarks.serve runs/photos-eanet_tiny --images path/to/photos

Prints answers, failures, latency and memory, and what `predict` does with the same files. wrk
(`apt-get install wrk`) sends the same forms again and again, one image each unless asked otherwise.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

import eanet
from benchmarks.compare import ROOT
from eanet.data.find import find_images
from eanet.threads import available_cpus

BOUNDARY = "a-boundary-that-no-image-contains"
SCRIPT = """
local requests, turn = {}, 0
function init()
  for _, path in ipairs(FILES) do
    local file = io.open(path, "rb")
    local headers = {["Content-Type"] = "multipart/form-data; boundary=BOUNDARY"}
    table.insert(requests, wrk.format("POST", "/predict?top=1", headers, file:read("*a")))
    file:close()
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
"""


def form(files: list[Path]) -> bytes:
    """Return the body of a form with these files."""
    name = 'Content-Disposition: form-data; name="files"; filename'
    heads = (f'--{BOUNDARY}\r\n{name}="{number}"\r\n\r\n' for number in range(len(files)))
    parts = [
        head.encode() + file.read_bytes() + b"\r\n" for head, file in zip(heads, files, strict=True)
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@contextmanager
def serving(run: str, workers: int) -> Iterator[tuple[str, psutil.Process]]:
    """Start a server; yield its address and process."""
    command = [sys.executable, "-m", "eanet", "serve", run, "--port=0", f"--workers={workers}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"at (http://\S+)", line):
                    break
            else:
                sys.exit("the server did not start")
            yield found[1], psutil.Process(process.pid)
        finally:
            process.terminate()


def watch_memory(server: psutil.Process, every: float, sizes: list[int]) -> None:
    """Append the memory of a server and its workers until it ends."""
    while server.is_running():
        try:
            family = [server, *server.children(recursive=True)]
            sizes.append(sum(process.memory_info().rss for process in family))
        except psutil.Error:
            return
        time.sleep(every)


def load(address: str, bodies: list[Path], clients: int, seconds: int) -> str:
    """Let wrk ask for some time; return what it prints."""
    files = ", ".join(json.dumps(str(body)) for body in bodies)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.replace("FILES", f"{{{files}}}").replace("BOUNDARY", BOUNDARY))
        script.flush()
        command = ["wrk", "--latency", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout=60s"]
        done = subprocess.run(
            [*command, "-s", script.name, address], check=True, capture_output=True, text=True
        )
    return done.stdout


def predicted_per_second(run: str, images: list[Path], seconds: float) -> float:
    """Return how many files a second `Predictor.predict_files` answers, decoding included."""
    torch.set_num_threads(available_cpus())
    predictor = eanet.load(run)
    predictor.predict(images[:2])
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += len(list(predictor.predict_files(images, top=1)))
    return count / (time.perf_counter() - began)


def figure(pattern: str, printed: str) -> str:
    """Return what a pattern finds in what wrk printed."""
    found = re.search(pattern, printed, re.MULTILINE)
    if found is None:
        sys.exit(f"wrk printed something else than expected:\n{printed}")
    return found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--images", nargs="+", required=True, help="files and folders")
    parser.add_argument("--most", type=int, default=200, help="of these images")
    parser.add_argument("--files", type=int, default=1, help="images in each request")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("needs wrk: apt-get install wrk")
    images = find_images(arguments.images)[: arguments.most]
    alone = predicted_per_second(arguments.run, images, min(10.0, arguments.seconds))
    sizes: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        bodies = []
        for first in range(0, len(images), arguments.files):
            bodies.append(Path(folder) / str(first))
            bodies[-1].write_bytes(form(images[first : first + arguments.files]))
        with serving(arguments.run, arguments.workers) as (address, server):
            watcher = threading.Thread(target=watch_memory, args=(server, 0.5, sizes), daemon=True)
            load(address, bodies, arguments.clients, 3)  # until everything has been used once
            watcher.start()
            printed = load(address, bodies, arguments.clients, arguments.seconds)
    count, asked = (figure(what, printed) for what in (r"(\d+) requests in", r"sec:\s+(\S+)"))
    median, most = (figure(rf"^\s+{percent}%\s+(\S+)", printed) for percent in (50, 99))
    wrong = re.findall(r"Non-2xx.*|Socket errors.*", printed)
    print(f"clients                 {arguments.clients}, {arguments.files} images a request")
    print(f"requests                {count}")
    print(f"failures                {'; '.join(wrong) or 'none'}")
    print(f"latency                 {median} median, {most} 99th percentile")
    print(f"images/s                {float(asked) * arguments.files:.0f}")
    print(f"images/s of predict     {alone:.0f}")
    tenth = max(1, len(sizes) // 10)
    shown = ", ".join(f"{size / 2**20:.0f}" for size in sizes[::tenth])
    print(f"memory over time, MiB   {shown}")


if __name__ == "__main__":
    main()
