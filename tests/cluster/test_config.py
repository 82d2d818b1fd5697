"""The file that says where a cluster is."""

from __future__ import annotations

from pathlib import Path

import pytest

from glocal.cluster.config import TOKEN, ClusterConfig
from glocal.errors import GalleryError
from glocal.gallery.stores.files import replace_file


def read(folder: Path, text: str) -> ClusterConfig:
    path = folder / "cluster.toml"
    path.write_text(text)
    return ClusterConfig.read(path)


def test_an_address_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    config = read(tmp_path, 'uri = "http://localhost:19530"')
    assert (config.prefix, config.timeout, config.token, config.hnsw.m) == ("glocal", 60, "", 16)


def test_a_token_of_the_environment_comes_first_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "other")
    config = read(tmp_path, 'uri = "http://localhost"\ntoken = "secret"')
    assert config.token == "other"  # noqa: S105
    assert "other" not in repr(config)


def test_files_lie_beside_the_file(tmp_path: Path) -> None:
    config = read(tmp_path, 'uri = "https://a:1"\n[tls]\nca = "ca.pem"\nserver_name = "b"')
    assert config.tls.ca == str(tmp_path / "ca.pem")
    assert config.tls.server_name == "b"
    assert config.tls.key == ""


def test_ray_is_used_where_there_is_a_table(tmp_path: Path) -> None:
    assert read(tmp_path, 'uri = "http://a"').ray is None
    config = read(tmp_path, 'uri = "http://a"\n[ray]\n')
    assert config.ray is not None
    assert (config.ray.address, config.ray.workers, config.ray.threads) == ("auto", 0, 4)
    for address in ("local", "ray://head.example.org:10001", "10.0.0.1:6379", "[::1]:6379"):
        config = read(tmp_path, f'uri = "http://a"\n[ray]\naddress = "{address}"\nworkers = 9')
        assert config.ray is not None
        assert (config.ray.address, config.ray.workers) == (address, 9)
        assert read(tmp_path, config.text()) == config


def test_what_is_written_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "of the environment")
    config = read(
        tmp_path,
        'uri = "https://a:1"\ntoken = "me:\\"ü😀\\\\"\ntimeout = 3\n'
        '[tls]\nca = "ca.pem"\n[hnsw]\nef = 99',
    )
    kept = ClusterConfig.read(tmp_path / "cluster.toml", environment=False)
    assert (kept.token, config.token) == ('me:"ü😀\\', "of the environment")
    (tmp_path / "other").mkdir()
    assert read(tmp_path / "other", kept.text()) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no server; give uri"),
        ("uri = 3", "uri is 3; give a text"),
        ('uri = "milvus:19530"', "give an address such as http://localhost:19530"),
        ('uri = "http://a"\nport = 3', "no setting 'port'; choose from uri, token"),
        ('uri = "http://a"\nprefix = "a-b"', "prefix is 'a-b'; use at most 100 letters"),
        ('uri = "http://a"\ntimeout = true', "timeout is True; give a number"),
        ('uri = "http://a"\ntimeout = 0', "timeout is 0; give seconds"),
        ('uri = "http://a"\nhnsw = 3', r"make it a table: \[hnsw\]"),
        ('uri = "http://a"\n[hnsw]\nm = 1', "hnsw.m is 1; it goes from 2 to 2048"),
        ('uri = "http://a"\n[hnsw]\nm = "x"', "m is 'x'; give a whole number"),
        ('uri = "http://a"\n[tls]\nca = "x"', "tls is for https"),
        ('uri = "https://a"\n[tls]\nkey = "x"', "only one of certificate and key"),
        ('uri = "https://a"\n[tls]\nkey = "x"\ncertificate = "y"', "no ca; give the authority's"),
        ("uri = ", "cannot be read"),
        ('uri = "http://a', "cannot be read"),  # half written
        ("#" * (2**20 + 1), "more than 1048576 bytes"),
        ('uri = "http://a:99999"', "whose port is none; give one from 1 to 65535"),
        ('uri = "http://a:b"', "whose port is none"),
        ('uri = "http://a:0"', "whose port is none"),
        ('uri = "http://a"\n[ray]\naddress = "x"', 'give "auto", "local", "ray://HOST:10001"'),
        ('uri = "http://a"\n[ray]\nthreads = 0', "ray.threads is 0; it goes from 1 to 256"),
        ('uri = "http://a"\n[ray]\nworker = 1', "no setting 'worker'; choose from address"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(GalleryError, match=said):
        read(tmp_path, text)
    with pytest.raises(GalleryError, match=r"cannot be read \(.*No such file.*--cluster FILE"):
        ClusterConfig.read(tmp_path / "none.toml")


def test_the_gallerys_copy_is_for_its_owner_alone(tmp_path: Path) -> None:
    copy = tmp_path / "cluster.toml"
    replace_file(copy, b"one", private=True)
    replace_file(copy, b"two", private=True)
    assert (copy.read_bytes(), copy.stat().st_mode & 0o077) == (b"two", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.toml"]


def test_the_index_is_chosen(tmp_path: Path) -> None:
    config = read(tmp_path, 'uri = "http://a"')
    assert (config.index, config.diskann.above) == ("auto", 30_000_000)
    config = read(tmp_path, 'uri = "http://a"\nindex = "diskann"\n[diskann]\nabove = 5')
    assert (config.index, config.diskann.above) == ("diskann", 5)
    assert read(tmp_path, config.text()) == config
    for wrong in ('index = "ivf"', "[diskann]\nsearch_list = 0", "[diskann]\nabove = -1"):
        with pytest.raises(GalleryError, match=r"choose from auto, hnsw, diskann|it goes from"):
            read(tmp_path, f'uri = "http://a"\n{wrong}')


def test_several_servers_of_a_catalogue_are_for_libpq_to_read(tmp_path: Path) -> None:
    said = 'uri = "http://a"\n[catalogue]\nuri = "postgresql://b:1,c:2/d"'
    assert read(tmp_path, said).catalogue.uri == "postgresql://b:1,c:2/d"
