"""Labels of a target are judged when it is opened; those of a reference set never are."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from plada_codec.errors import SourceError
from plada_codec.reference import open_images
from plada_train.data.labelled import open_test_images, open_training_images
from tests.helpers.training import COLOURS, jpeg

pytestmark = pytest.mark.training


@pytest.mark.parametrize("label", [b"cat", b"1.0", b"-1", b"65536"], ids=str)
def test_a_cls_member_that_is_no_class_number_is_named_where_a_target_is_opened(label: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for name, data in (("0.jpg", jpeg(COLOURS["red"], 0)), ("0.cls", b"0"), ("1.jpg", b"x"), ("1.cls", label)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert len(open_images(tmp_path)) == 2
    said = rf"1\.cls in .*s\.tar, {label.decode()!a}, is not a class number 0 \.\. 65535 \[shard-label\]"
    with pytest.raises(SourceError, match=said):
        open_training_images(tmp_path)
    with pytest.raises(SourceError, match=said):
        open_test_images(tmp_path, 2, None)
