"""A failure of Redis is named by its cause, in any version."""

from __future__ import annotations

import pytest
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    MasterDownError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
)

from notifier.broker.errors import reason

REPLICA = "You can't write against a read only replica."


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (ReadOnlyError(REPLICA, status_code="READONLY"), "is a replica"),
        (ResponseError(f"Error running script (call to f_1): @user_script:3: @user_script: 3: -READONLY {REPLICA}"), "is a replica"),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots, but it is not able to"), "cannot save its data"),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), "too few replicas"),
        (MasterDownError("Link with MASTER is down", status_code="MASTERDOWN"), "lost its master"),
        (ResponseError("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."), "busy with a script"),
        (BusyLoadingError("Redis is loading the dataset in memory"), "reading its data"),
        (ConnectionError("max number of clients reached"), "maxclients"),
        (ResponseError("The stream has exhausted the last possible ID, unable to add more items"), "last id of its stream is used up"),
        (NoPermissionError("this user lacks +xdel", status_code="NOPERM"), "lacks +xdel"),
        (ResponseError("ACL failure in script: User notifier has no permissions to run the 'xadd' command"), "refuses: ACL failure in script"),
        (ResponseError("The user executing the script can't run this command or subcommand"), "can't run this command"),
    ],
)  # fmt: skip
def test_the_cause_is_named(exc: Exception, words: str):
    assert words in reason(exc).what
