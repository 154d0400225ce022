# Kaitai Struct grammar of the container of PLADA payloads, version 1 (plada-format-1.md). It describes where the
# fields and streams lie; it does not decode the streams, compare the checksum or check values. Where it and the
# text disagree, the text is right.
meta:
  id: plada
  title: PLADA payload, version 1
  file-extension: plada
  license: Apache-2.0
  ks-version: 0.11
  endian: le
  bit-endian: be

doc: |
  A payload says which images of a reference set are kept for a classification task, and the class of each.
  It is delimited by what carries it: the stream must end where the payload does.
doc-ref: plada-format-1.md

seq:
  - id: signature
    contents: [0x8f, 0x50, 0x4c]
    doc: Section 3.1.
  - id: version
    type: u1
    valid: 1
    doc: Section 3.1.
  - id: flags
    type: flags
  - id: codings
    type: codings
  - id: reference_size
    type: varint
    doc: Number of images N in the reference set, 1 .. 2^63 - 1 (section 3).
  - id: num_classes
    type: varint
    doc: Number of classes C, 1 .. 65,536 (section 3).
  - id: universe
    type: universe
    if: flags.has_universe
  - id: kept_field
    type: varint
    if: has_index_stream
    doc: Number of kept images k, 0 .. M, where the index coding does not say it (section 3).
  - id: reference_digest
    size: digest_bytes
    doc: First bytes of the reference digest, or none (section 3.2).
  - id: class_check
    size: 2
    if: flags.has_class_check
    doc: Depends on the names of the classes (section 3.4).
  - id: index_bytes
    type: varint
    if: has_index_stream
    doc: Length of the index stream (section 3).
  - id: section_list
    type: section_list
    if: flags.has_sections
  - id: index_stream
    size: index_bytes.value
    if: has_index_stream
    doc: Which images are in the coded set (section 6).
  - id: label_stream
    size: _io.size - _io.pos - 4
    doc: The class of each kept image (section 7). It ends where the checksum begins.
  - id: checksum
    type: u4
    doc: CRC-32 of every byte before it (section 3.3).

instances:
  has_index_stream:
    value: codings.index != index_coding::all_plain
    doc: Section 3.
  digest_bytes:
    value: 'flags.digest_code == 0 ? 0 : 2 * flags.digest_code + 6'
    doc: Section 3.2.
  offset:
    value: 'flags.has_universe ? universe.offset.value : 0'
    doc: First image of the universe (section 4).
  stride:
    value: 'flags.has_universe ? universe.stride.value : 1'
    doc: Distance between images of the universe (section 4).
  universe_size:
    value: (reference_size.value - offset - 1) / stride + 1
    doc: Number of images M in the universe (section 4).
  kept:
    value: 'has_index_stream ? kept_field.value : flags.is_complement ? 0 : universe_size'
    doc: Number of kept images k (section 4).
  coded_set_size:
    value: 'flags.is_complement ? universe_size - kept : kept'
    doc: Number of images d that the index stream describes (section 4).

types:
  flags:
    doc: Section 3.2.
    seq:
      - id: has_sections
        type: b1
        doc: A list of sections follows the index length.
      - id: is_complement
        type: b1
        doc: The index stream codes the images that are not kept (section 4).
      - id: has_universe
        type: b1
        doc: Offset and stride are present (section 4).
      - id: has_class_check
        type: b1
        doc: The field class check is present (section 3.4).
      - id: digest_code
        type: b4
        valid:
          max: 13
        doc: 0 for no digest, otherwise half the length of the digest less 3.

  codings:
    doc: Section 5.
    seq:
      - id: index
        type: b4
        enum: index_coding
      - id: label
        type: b4
        enum: label_coding

  universe:
    doc: The images offset, offset + stride, offset + 2 stride, ... of the reference set (section 4).
    seq:
      - id: offset
        type: varint
      - id: stride
        type: varint

  section_list:
    doc: Section 8.
    seq:
      - id: num_sections
        type: varint
        doc: 1 or more.
      - id: sections
        type: section
        repeat: expr
        repeat-expr: num_sections.value

  section:
    doc: Section 8. Types are strictly ascending.
    seq:
      - id: section_type
        type: u1
        enum: section_type
      - id: coder
        type: u1
        enum: coder
      - id: num_bytes
        type: varint
      - id: body
        size: num_bytes.value
    instances:
      is_critical:
        value: section_type.to_i < 0x80
        doc: Whether a decoder that does not know the type must refuse the payload.

  varint:
    doc: A canonical unsigned LEB128 integer of at most 9 bytes, below 2^63 (section 2.2).
    seq:
      - id: groups
        type: 'varint_group(_index == 0 ? 0 : groups[_index - 1].value, _index)'
        repeat: until
        repeat-until: not _.has_next
    instances:
      value:
        value: groups.last.value

  varint_group:
    doc: Seven bits of a varint (section 2.2).
    params:
      - id: value_before
        type: u8
        doc: Value of the groups before this one.
      - id: number
        type: s4
        doc: How many groups come before this one.
    seq:
      - id: has_next
        type: b1
        valid:
          expr: not _ or number < 8
      - id: bits
        type: b7
        valid:
          expr: has_next or number == 0 or _ != 0
    instances:
      value:
        value: value_before | (bits.as<u8> << (7 * number))

enums:
  index_coding:
    0:
      id: all_plain
      doc: Section 6.1.
    1:
      id: bitmap_plain
      doc: Section 6.2.
    2:
      id: bitmap_zstd
      doc: Sections 6.2 and 5.3.
    3:
      id: gaps_plain
      doc: Section 6.3.
    4:
      id: gaps_huffman
      doc: Sections 6.4 and 5.4.
    5:
      id: gaps_zstd
      doc: Sections 6.3 and 5.3.
    6:
      id: gaps_modelled
      doc: Sections 6.6 and 5.5.
    7:
      id: runs_plain
      doc: Section 6.5.
    8:
      id: runs_zstd
      doc: Sections 6.5 and 5.3.

  label_coding:
    0:
      id: constant_plain
      doc: Section 7.1.
    1:
      id: classes_plain
      doc: Section 7.2.
    2:
      id: classes_huffman
      doc: Sections 7.3 and 5.4.
    3:
      id: classes_zstd
      doc: Sections 7.4 and 5.3.
    4:
      id: classes_modelled
      doc: Sections 7.5 and 5.5.

  section_type:
    0x01:
      id: further_layers
      doc: Reserved, critical (section 8).
    0x81:
      id: class_names
      doc: Section 8.1.
    0x82:
      id: soft_labels
      doc: Section 8.2.
    0x83:
      id: weights
      doc: Section 8.3.
    0x84:
      id: signature
      doc: Reserved, ancillary (section 8).
    0x85:
      id: free_metadata
      doc: Reserved, ancillary (section 8).

  coder:
    0: plain
    1: huffman
    2: zstd
    3: modelled
