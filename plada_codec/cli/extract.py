"""The command `plada extract`: the kept images of a reference set as files, for programs that know no payloads."""

from __future__ import annotations

import click

from plada_codec.cli.terminal import RegistryChoice, lines_of, naming_file, read_bytes
from plada_codec.progress import progress_bar


@click.command()
@click.argument("source", metavar="PAYLOAD")
@click.option("--reference", required=True, metavar="REF", help="The reference set: as in `plada reference digest`.")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="Folder to make.")
@click.option(
    "--format",
    type=RegistryChoice("plada_codec.virtual_dataset", "EXTRACT_FORMATS"),
    default="folder",
    show_default=True,
    help="A folder for each class, or WebDataset shards.",
)
@click.option("--png", "as_png", is_flag=True, help="Write the pixels as PNG, whatever the images' own format.")
@click.option(
    "--class-names",
    "names_file",
    type=click.Path(exists=True, dir_okay=False),
    help="Text file with a name on each line, for a payload without class names.",
)
@click.option(
    "--shard-images",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    metavar="n",
    help="Largest number of images in a shard.",
)
@click.option("--no-check", is_flag=True, help="Do not compute the digest of the reference set: compare N alone.")
def extract(
    source: str,
    reference: str,
    output: str,
    format: str,
    as_png: bool,
    names_file: str | None,
    shard_images: int,
    no_check: bool,
) -> None:
    """Write the kept images as a folder for each class, or as shards.

    \b
    Example:
      plada extract received.plada --reference 'ref-{000..001}.tar' -o images

    Names of the files are numbers in the reference set. An interrupted extraction continues when it is repeated.
    """  # noqa: D301
    from plada_codec.reference import open_images
    from plada_codec.virtual_dataset import check_target, decode_for
    from plada_codec.virtual_dataset import extract as write_files

    names = None if names_file is None else lines_of(names_file)
    blob = read_bytes(source)
    images = open_images(reference)
    check_target(output, images)
    with naming_file(source), progress_bar("computing the reference digest", "images") as progress:
        payload = decode_for(images, blob, check=not no_check, progress=progress)
        if names is not None:
            payload = payload.with_class_names(names)
    with progress_bar("writing images", "images") as progress:
        write_files(images, payload, output, format, as_png=as_png, shard_images=shard_images, progress=progress)
