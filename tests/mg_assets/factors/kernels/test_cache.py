"""Compiled kernels never outlive the sources that they were made from."""

from mg_assets.factors.kernels.cache import drop_stale_kernels


def test_kernels_go_when_any_source_changes(tmp_path):
    (tmp_path / "moments.py").write_text("FLAT = 1e-12\n")
    (tmp_path / "minute.py").write_text("from moments import FLAT\n")
    assert drop_stale_kernels(tmp_path)
    kernel, other = tmp_path / "__pycache__" / "minute.kernel.1.nbc", tmp_path / "__pycache__" / "minute.pyc"
    kernel.write_bytes(b"compiled")
    other.write_bytes(b"bytecode")
    assert not drop_stale_kernels(tmp_path)
    assert kernel.exists()
    (tmp_path / "moments.py").write_text("FLAT = 1e-10\n")
    assert drop_stale_kernels(tmp_path)
    assert not kernel.exists()
    assert other.exists()
    assert not drop_stale_kernels(tmp_path)


def test_the_package_is_in_step():
    from pathlib import Path

    import mg_assets.factors

    assert not drop_stale_kernels(Path(mg_assets.factors.__file__).parent)
