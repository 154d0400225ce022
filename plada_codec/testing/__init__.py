"""Tools to test decoders and receivers: generated payloads, conformance tests, a link that damages frames."""
