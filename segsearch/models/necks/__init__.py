"""Necks: Features -> Features, built for an encoder and the levels it hands on."""
