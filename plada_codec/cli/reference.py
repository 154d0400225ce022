"""The commands on reference sets: `plada reference digest`, `list`, `check` and `pack`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import click

from plada_codec.cli.terminal import check_not_input, json_option, say, standard_output
from plada_codec.progress import progress_bar


@click.group()
def reference() -> None:
    """Work with reference sets."""


@reference.command()
@click.argument("source", metavar="SOURCE")
@json_option
def digest(source: str, as_json: bool) -> None:
    """Print the digest of a reference set.

    \b
    Example:
      plada reference digest 'ref-{000..001}.tar'

    SOURCE is a folder of images, a folder of WebDataset shards, one shard, or a pattern of shards; a parquet file or a
    folder of them; a folder that save_to_disk wrote; an npz archive. SOURCE#SPLIT,image=COLUMN,label=COLUMN chooses
    a part. The images are not decoded: `plada reference check` does that.
    """  # noqa: D301
    from plada_codec.reference import open_images, reference_digest

    images = open_images(source)
    with progress_bar("reading images") as progress:
        value = reference_digest(images, progress)
    if as_json:
        click.echo(json.dumps({"reference_size": len(images), "reference_digest": value.hex()}))
    else:
        say(f"{value.hex()}  {len(images)} images  {source}")


@reference.command(name="list")
@click.argument("source", metavar="SOURCE")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
def list_images(source: str, as_csv: bool, as_json: bool) -> None:
    """Print number, name and SHA-256 of each image of a reference set.

    \b
    Example:
      plada reference list 'ref-{000..001}.tar' --csv

    If two sets have different digests, compare their lists, for example with diff. The line of an image is the number,
    the SHA-256 and the name, and its SHA-256 is that of sha256sum.
    """  # noqa: D301
    from plada_codec.reference import image_digests, open_images

    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    images = open_images(source)
    with progress_bar("reading images", "images") as progress:
        rows = enumerate(image_digests(images, progress))
        if as_csv:
            # Names as they are, for programs: bytes that are not UTF-8 too
            text = io.TextIOWrapper(standard_output(), "utf-8", "surrogateescape", newline="", write_through=True)
            table = csv.writer(text, lineterminator="\n")
            table.writerow(("index", "name", "sha256"))
            for i, digest in rows:
                table.writerow((i, images.name(i), digest.hex()))
            text.detach()
        elif as_json:
            for i, digest in rows:
                row = json.dumps({"index": i, "name": images.name(i), "sha256": digest.hex()})
                click.echo(f"{'[' if i == 0 else ','}\n  {row}", nl=False)
            click.echo("\n]")
        else:
            for i, digest in rows:
                say(f"{i}  {digest.hex()}  {images.name(i)}")


@reference.command()
@click.argument("source", metavar="SOURCE")
@click.option("--threads", type=click.IntRange(1, 1024), default=2, show_default=True, metavar="N", help="Threads.")
@json_option
def check(source: str, threads: int, as_json: bool) -> None:
    """Decode all images of a source, and list those that cannot be decoded.

    \b
    Example:
      plada reference check 'ref-{000..001}.tar'

    The exit code is 1 if there are any. `plada-train` needs all images of the reference set and of the target.
    """  # noqa: D301
    from plada_codec.errors import SourceError
    from plada_codec.reference import open_images, unreadable_images

    images = open_images(source)
    found = []
    with progress_bar("decoding images", "images") as progress:
        for i, error in unreadable_images(images, progress, threads=threads):
            found.append({"index": i, "name": images.name(i), "rule": error.rule, "message": error.args[0]})
            if not as_json:
                say(error.args[0])
    if as_json:
        click.echo(json.dumps(found, indent=2))
    if found:
        what = f"of the images of {source}, {len(found)} of {len(images)} cannot be decoded"
        raise SourceError(what, rule="image-unreadable")
    if not as_json:
        say(f"{source}: good, {len(images)} of {len(images)} images can be decoded")


@reference.command()
@click.argument("source", metavar="SOURCE")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="Folder for the shards.")
@click.option(
    "--images-per-shard", type=click.IntRange(1), metavar="K", help="Number of images in a shard.  [default: 10,000]"
)
@json_option
def pack(source: str, output: str, images_per_shard: int | None, as_json: bool) -> None:
    """Pack any source of images as WebDataset shards.

    \b
    Example:
      plada reference pack 'ref-{000..001}.tar' -o packed

    Images keep their bytes and their digest; arrays of pixels become PNM files. The same images and labels give the
    same shards on every machine. If it is interrupted, the same command goes on.
    """  # noqa: D301
    from plada_codec.reference import open_images
    from plada_codec.reference.packing import IMAGES_PER_SHARD, pack

    check_not_input(output, source)
    images = open_images(source)
    with progress_bar("packing images", "images") as progress:
        done = pack(images, Path(output), images_per_shard or IMAGES_PER_SHARD, progress)
    if as_json:
        click.echo(json.dumps(vars(done), indent=2))
    else:
        say(f"{done.reference_digest}  {done.reference_size} images  {output}")
