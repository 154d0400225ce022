"""Virtual datasets: the kept images of the right reference set, with their labels; for threads and processes."""

from __future__ import annotations

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plada_codec import (
    Corrupt,
    FileError,
    Payload,
    ReferenceMismatch,
    SourceError,
    VirtualDataset,
    encode,
    open_images,
    reference_digest,
)
from plada_codec.reference import ImageSource

NAMES = ("cat", "dog", "eel")


def write_png(path: Path, grey: int) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs the extra 'images'")
    stream = io.BytesIO()
    image.new("L", (3, 2), grey).save(stream, "PNG")
    path.write_bytes(stream.getvalue())


@pytest.fixture
def images(tmp_path: Path) -> ImageSource:
    folder = tmp_path / "ref"
    folder.mkdir()
    for i in range(6):
        write_png(folder / f"{i}.png", 40 * i)
    return open_images(folder)


def payload_for(images: ImageSource) -> Payload:
    return Payload([1, 2, 5], [2, 0, 2], len(images), 3, reference_digest(images)[:8], class_names=NAMES)


def times_two(image: bytes) -> bytes:
    return 2 * image


def test_items_are_the_kept_images_and_their_labels(images: ImageSource) -> None:
    dataset = VirtualDataset(images, encode(payload_for(images)))
    assert len(dataset) == 3
    assert [label for _, label in dataset] == [2, 0, 2]
    assert [image.getpixel((0, 0)) for image, _ in dataset] == [(40,) * 3, (80,) * 3, (200,) * 3]
    assert dataset[0][0].mode == "RGB"
    assert dataset.class_names == NAMES
    assert dataset[-1][0].tobytes() == dataset[2][0].tobytes()
    for i in (3, -4):
        with pytest.raises(IndexError):
            dataset[i]


def test_images_may_be_bytes_and_go_through_a_transform(images: ImageSource) -> None:
    blob = encode(payload_for(images))
    assert VirtualDataset(images, blob, as_bytes=True)[1] == (images.read(2), 0)
    assert VirtualDataset(images, blob, times_two, as_bytes=True)[1] == (2 * images.read(2), 0)
    assert VirtualDataset(images, blob, lambda image: image.size)[1] == ((3, 2), 0)


def test_reference_and_payload_may_be_paths(images: ImageSource, tmp_path: Path) -> None:
    (tmp_path / "p.plada").write_bytes(encode(payload_for(images)))
    for path in (tmp_path / "p.plada", str(tmp_path / "p.plada")):
        assert VirtualDataset(images.source, path, as_bytes=True)[0] == (images.read(1), 2)
    with pytest.raises(FileError, match="cannot read"):
        VirtualDataset(images, tmp_path / "none.plada")


def test_a_pickled_dataset_gives_the_same_items_to_processes_and_threads(images: ImageSource) -> None:
    dataset = VirtualDataset(images, encode(payload_for(images)), times_two, as_bytes=True)
    copy = pickle.loads(pickle.dumps(dataset))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(copy.__getitem__, [0, 1, 2] * 20)) == [dataset[0], dataset[1], dataset[2]] * 20


def test_another_reference_set_is_refused(images: ImageSource) -> None:
    blob = encode(payload_for(images))
    Path(images.source, "3.png").write_bytes(images.read(2))
    with pytest.raises(ReferenceMismatch, match="plada reference list"):
        VirtualDataset(images, blob)
    assert len(VirtualDataset(images, blob, check=False)) == 3
    write_png(Path(images.source, "6.png"), 7)
    for check in (True, False):
        with pytest.raises(ReferenceMismatch, match=r"of 6 images, but .* has 7"):
            VirtualDataset(images.source, blob, check=check)
    with pytest.raises(ReferenceMismatch, match="6 images"):
        VirtualDataset(images.source, payload_for(images))


def test_a_payload_without_a_digest_is_refused_unless_the_caller_waives_the_check(images: ImageSource) -> None:
    blob = encode(Payload([1], [0], 6, 1))
    with pytest.raises(ReferenceMismatch, match="does not name"):
        VirtualDataset(images, blob)
    assert len(VirtualDataset(images, blob, check=False)) == 1
    with pytest.raises(Corrupt):
        VirtualDataset(images, blob[:-1] + b"?")


def test_an_image_that_does_not_decode_is_an_error_that_names_it(images: ImageSource) -> None:
    Path(images.source, "2.png").write_bytes(b"<html>")
    dataset = VirtualDataset(images, encode(payload_for(images)))
    with pytest.raises(SourceError, match=r"image 2 of .*2\.png.*HTML"):
        dataset[1]


@pytest.mark.training
def test_a_data_loader_of_torch_takes_a_dataset_in_worker_processes(images: ImageSource) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    dataset = VirtualDataset(images, encode(payload_for(images)), len, as_bytes=True)
    sizes, labels = next(iter(torch.utils.data.DataLoader(dataset, batch_size=3, num_workers=1)))
    assert sizes.tolist() == [len(images.read(i)) for i in (1, 2, 5)]
    assert labels.tolist() == [2, 0, 2]
