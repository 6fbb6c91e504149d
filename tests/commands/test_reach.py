"""reach.py: where a command finds the sidecar."""

from pathlib import Path

import pytest

from exporter.commands.reach import places
from exporter.settings.config import ConfigError


@pytest.mark.parametrize(("key", "default"), [("health", 9465), ("admin", 9464)])
def test_where_the_sidecar_is(tmp_path: Path, key: str, default: int) -> None:
    """The flag, then the environment, then the sidecar's own file, then the default."""
    file = tmp_path / "modeltap.yaml"
    file.write_text(f"{key}: 127.0.0.1:3\n")
    flag, file_flag = {key: "127.0.0.1:1"}, {"config": str(file)}
    environ = {f"MODELTAP_{key.upper()}": "127.0.0.1:2", "MODELTAP_CONFIG": str(file)}
    assert places(key, {**flag, **file_flag}, environ) == [("127.0.0.1", 1)]
    assert places(key, {}, environ) == [("127.0.0.1", 2)]
    assert places(key, {}, {"MODELTAP_CONFIG": str(file)}) == [("127.0.0.1", 3)]
    assert places(key, file_flag, {}) == [("127.0.0.1", 3)]
    assert places(key, {}, {}) == [("127.0.0.1", default), ("::1", default)]
    with pytest.raises(ValueError, match=f"--{key}: 'here': expected HOST:PORT"):
        places(key, {key: "here"}, {})
    with pytest.raises(ConfigError, match="nowhere"):
        places(key, {"config": "/nowhere.yaml"}, {})
