"""The commands of frames: `plada packetize`, `carousel`, `channel` and `reassemble`."""
