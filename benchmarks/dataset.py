"""`adain dataset` beside the bare model and the usual loop, its memory, its nodes; `RandomStyle` beside other augmentations.

    python benchmarks/dataset.py --content PHOTOS --style PAINTINGS [--pictures 2000] [--only speed memory nodes augment]

Lines on the terminal. Pictures are the first of PHOTOS with a short side of 256 px or more, scaled down where their long side exceeds 512.
The usual loop is what stylize-datasets does, restated from its description: one picture at a time, a style drawn, read and encoded for
each, the network of the paper in float32 (here with random weights), JPEG. Rates are of the whole run; `steady` leaves out the start of
Ray and of its workers, to the first finished part. Other work on the machine distorts all of it: `load` is printed first.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F
from adain_style_transfer import adain, weights
from adain_style_transfer.adain.architectures.vgg19 import VGG19
from adain_style_transfer.adain.media.images import read_picture, write_picture
from adain_style_transfer.adain.style_set import joined
from adain_style_transfer.datasets import run
from adain_style_transfer.datasets.cluster import Pool, connected
from adain_style_transfer.datasets.manifest import NAME, Count
from adain_style_transfer.datasets.painter import Job
from adain_style_transfer.datasets.places import Place
from adain_style_transfer.datasets.settings import Settings
from adain_style_transfer.datasets.style_files import Named
from PIL import Image
from torch import Tensor

LOOPED = 8
"""Pictures of the usual loop, which takes seconds for each."""

PRESETS = ["great-wave", "venice", "the-scream", "red-horse"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--style", type=Path, required=True, help="folder of paintings, for the usual loop")
    parser.add_argument("--pictures", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--times", type=int, default=5, help="how many times as many for the second figure of memory (default 5)")
    parts = {"speed": speed, "memory": memory, "nodes": nodes, "augment": augment}
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), help="which figures")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before the start")
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        prepare(options.content, here / "in", options.pictures)
        for name in options.only:
            parts[name](here, options)
    return 0


def prepare(photos: Path, folder: Path, count: int) -> None:
    """The pictures that are measured, as JPEG files in class folders."""
    made = 0
    for path in sorted(photos.rglob("*.jpg")):
        with Image.open(path) as image:
            if min(image.size) < 256:
                continue
            scale = min(1.0, 512 / max(image.size))
            scaled = image.convert("RGB").resize((round(image.width * scale), round(image.height * scale)))
        target = folder / f"class{made % 10}" / f"{made:05d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        scaled.save(target, quality=92)
        made += 1
        if made == count:
            return
    raise SystemExit(f"There are only {made} such pictures in {photos}. Give --pictures {made}.")


def job_of(source: Path, target: Path) -> tuple[Job, Named]:
    model = weights.load_model(device="cpu")
    settings = Settings(str(source), "benchmark", model.fingerprint)
    job = Job(Place(str(source)), Place(str(target)), "", settings, None, "cpu", str(model.dtype).removeprefix("torch."))
    return job, Named(joined([weights.load_preset(model, name) for name in PRESETS]), PRESETS)


@dataclass(frozen=True)
class Rate:
    """Pictures a second of a run, those after its first part, and the CPU seconds of its workers for one of those."""

    whole: float
    steady: float
    cpu: float


def painted(source: Path, target: Path, workers: int, progress: Callable[[Count], None] = lambda _: None) -> Rate:
    job, styles = job_of(source, target)
    begun, marks = time.perf_counter(), list[tuple[float, float, int]]()

    def note(count: Count, _: int) -> None:
        if count.painted:
            marks.append((time.perf_counter(), cpu_seconds(), count.painted))
        progress(count)

    options = run.Options(pool=Pool(workers, workers), cpus=workers)
    total = run.paint_dataset(job, lambda: styles, options, note, print).painted
    (first, before, some), (last, after, _) = marks[0], marks[-1]
    return Rate(total / (time.perf_counter() - begun), (total - some) / max(1e-9, last - first), (after - before) / max(1, total - some))


def painters() -> list[psutil.Process]:
    """The processes of the workers."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            if "MapWorker" in "".join(process.cmdline()):
                found.append(process)
    return found


def cpu_seconds() -> float:
    return sum(process.cpu_times().user + process.cpu_times().system for process in painters())


# Figures


def speed(here: Path, options: argparse.Namespace) -> None:
    model = weights.load_model(device="cpu")
    style = weights.load_preset(model, PRESETS[0])
    paths = sorted((here / "in").rglob("*.jpg"))
    pictures = [read_picture(path).rgb for path in paths]
    adain.stylize(model, pictures[0], style)
    bare = {}
    for threads in (torch.get_num_threads(), 1):
        torch.set_num_threads(threads)
        begun, cpu = time.perf_counter(), time.process_time()
        for picture in pictures:
            adain.stylize(model, picture, style)
        bare[threads] = len(pictures) / (time.perf_counter() - begun)
        cpu = (time.process_time() - cpu) / len(pictures)
        print(f"bare model in memory, {threads} threads: {bare[threads]:.1f} pictures/s, {cpu:.3f} CPU s each")
    del pictures
    made = painted(here / "in", here / "out", 2)
    best = max(bare.values())
    print(f"adain dataset, 2 workers: {made.whole:.1f} pictures/s, steady {made.steady:.1f}, {made.cpu:.3f} CPU s each")
    print(f"that is {made.whole / best:.0%} of the bare model's rate, steady {made.steady / best:.0%}; by CPU time {cpu / made.cpu:.0%}")
    torch.set_num_threads(os.cpu_count() or 1)
    usual, spent = loop(paths[:LOOPED], sorted(options.style.rglob("*.jpg")), here / "usual")
    print(f"the usual loop: {usual:.2f} pictures/s, {spent:.1f} CPU s each: adain dataset is {made.whole / usual:.0f} times as fast")
    print(f"steady {made.steady / usual:.0f} times, by CPU time {spent / made.cpu:.0f} times")


def loop(contents: Sequence[Path], styles: Sequence[Path], out: Path) -> tuple[float, float]:
    """Pictures a second of the usual loop, and CPU seconds for each."""
    network = VGG19().eval().requires_grad_(False)
    chance = random.Random(0)
    begun, cpu = time.perf_counter(), time.process_time()
    out.mkdir()
    for path in contents:
        content = read_picture(path).rgb
        style = read_picture(chance.choice(styles)).rgb
        scale = 512 / min(style.shape[-2:])
        style = F.interpolate(style, scale_factor=scale, mode="bilinear", antialias=True)
        with torch.inference_mode():
            given, wanted = network.encoder(content), network.encoder(style)
            made = network.decoder((given - mean(given)) / deviation(given) * deviation(wanted) + mean(wanted))
        write_picture(out / path.name, made[..., : content.shape[2], : content.shape[3]])
    return len(contents) / (time.perf_counter() - begun), (time.process_time() - cpu) / len(contents)


def mean(features: Tensor) -> Tensor:
    return features.mean((2, 3), keepdim=True)


def deviation(features: Tensor) -> Tensor:
    return (features.var((2, 3), keepdim=True) + 1e-5).sqrt()


def memory(here: Path, options: argparse.Namespace) -> None:
    many = here / "many"
    for version in range(options.times):
        for path in (here / "in").rglob("*.jpg"):
            copy = many / f"v{version}" / path.relative_to(here / "in")
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, copy)
    for source, target in ((here / "in", here / "few-out"), (many, here / "many-out")):
        peaks, ended = {"workers": 0.0, "shared with the object store": 0.0}, threading.Event()
        watcher = threading.Thread(target=watch, args=(peaks, ended))
        watcher.start()
        painted(source, target, 2)
        ended.set()
        watcher.join()
        count = sum(1 for _ in source.rglob("*.jpg"))
        print(f"memory for {count} pictures: {', '.join(f'{name} {peak / 2**20:.0f} MB' for name, peak in peaks.items())} at most")


def watch(peaks: dict[str, float], ended: threading.Event) -> None:
    """The highest memory of all workers' own, and of the object store's pages, until `ended`."""
    while not ended.wait(0.5):
        own = shared = 0.0
        for process in painters():
            with suppress(psutil.Error):
                info = process.memory_info()
                own, shared = own + info.rss - info.shared, max(shared, info.shared)
        for name, found in zip(peaks, (own, shared), strict=True):
            peaks[name] = max(peaks[name], found)


def nodes(here: Path, options: argparse.Namespace) -> None:
    from ray.cluster_utils import Cluster

    rates = {}
    for count in (1, 2):
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(count):
            cluster.add_node(num_cpus=1)
        with connected(cluster.address):
            rates[count] = painted(here / "in", here / f"nodes{count}", count)
        if count == 2:
            print(f"two nodes: {rates[2].whole / rates[1].whole:.2f} times one, steady {rates[2].steady / rates[1].steady:.2f} times")
        cluster.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.add_node(num_cpus=1)
    lost = [cluster.add_node(num_cpus=1)]

    def remove(count: Count) -> None:
        if count.painted and lost:
            cluster.remove_node(lost.pop(), allow_graceful=False)

    with connected(cluster.address):
        painted(here / "in", here / "lost", 2, remove)
    cluster.shutdown()
    print(f"a node removed while it paints: {'equal' if contents(here / 'lost') == contents(here / 'nodes1') else 'DIFFERENT'} output")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != NAME}


def augment(here: Path, options: argparse.Namespace) -> None:
    from adain_style_transfer.transforms import RandomStyle
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    crop, tensor = v2.RandomResizedCrop(224), v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    kinds = {
        "no augmentation": [],
        "v2.RandomErasing(p=1)": [v2.RandomErasing(p=1)],
        "v2.AugMix()": [v2.AugMix()],
        "RandomStyle(p=0.5)": [RandomStyle(p=0.5)],
        "RandomStyle(p=1)": [RandomStyle(p=1)],
        "RandomStyle(p=1, sampled=True)": [RandomStyle(p=1, sampled=True)],
    }
    for name, own in kinds.items():
        steps = [crop, tensor, *own] if "Erasing" in name else [crop, *own, tensor]
        data = ImageFolder(str(here / "in"), v2.Compose(steps))
        times = []
        for _ in range(3):
            loader = iter(DataLoader(data, batch_size=8, num_workers=2, shuffle=True))
            next(loader)  # workers have started
            begun, seen = time.perf_counter(), 0
            for images, _ in loader:
                seen += len(images)
            times.append(seen / (time.perf_counter() - begun))
        print(f"DataLoader(num_workers=2), 224 px, {name}: {statistics.median(times):.0f} pictures/s")


if __name__ == "__main__":
    raise SystemExit(main())
