"""Whose the servers' directories are."""

import os
from pathlib import Path

import pytest

from services.cli.embedded.errors import DataDirectoryUnusable
from services.cli.embedded.files import make_private
from services.cli.embedded.process import Account


def test_a_directory_of_another_is_refused_with_what_helps(tmp_path: Path) -> None:
    """Root who put back a copy without its owners learns how to give it to the servers; nobody else can do that."""
    me = os.geteuid()
    with pytest.raises(DataDirectoryUnusable, match=rf"`chown -R {me + 1}:7 {tmp_path}`"):
        make_private(tmp_path, Account(me + 1, 7))
    make_private(tmp_path, None)
    assert tmp_path.stat().st_uid == me
