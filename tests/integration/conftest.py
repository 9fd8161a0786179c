from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemons import Daemons
from tests.support.service import Service
from tests.support.topologies import Cluster, Replicated, cluster, replicated


@pytest.fixture
def service(daemons: Daemons, tmp_path: Path) -> Service:
    folder = tmp_path / "service"
    folder.mkdir()
    return Service(daemons, folder)


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture
def shards(shared_cluster: Cluster) -> Iterator[Cluster]:
    """An empty cluster, for tests that leave its nodes and slots as they are."""
    yield shared_cluster
    shared_cluster.empty()


@pytest.fixture(scope="session")
def shared_sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with replicated(tmp_path_factory.mktemp("sentinels")) as servers:
        yield servers


@pytest.fixture
def sentinels(shared_sentinels: Replicated) -> Iterator[Replicated]:
    """An empty Redis behind three Sentinels, for tests that promote none."""
    yield shared_sentinels
    shared_sentinels.empty()
