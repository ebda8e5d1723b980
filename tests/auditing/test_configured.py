"""What is told of a model without its weights is what the model says."""

import pytest

import tiny
from subspace_illusion.auditing.configured import Configured
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError

POINTS = ("hook_resid_post", "hook_attn_out", "hook_mlp_out", "mlp.hook_post", "attn.hook_z", "attn.hook_z.1")


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_widths_are_the_models(architecture, tmp_path):
    tiny.write_folder(tmp_path, architecture)
    model, configured = tiny.tiny_model(architecture), Configured(tmp_path)
    assert configured.n_blocks == model.n_blocks
    sites = [Site.parse(f"blocks.1.{point}") for point in POINTS]
    told = {site.point: configured.width(site) if configured.knows(site) else None for site in sites}
    for point, width in told.items():
        assert width in (None, model.width(Site.parse(f"blocks.1.{point}")))
    assert told["hook_resid_post"] == model.bridge.cfg.d_model


def test_hooks_beyond_the_model_are_refused(tmp_path):
    tiny.write_folder(tmp_path)
    configured = Configured(tmp_path)
    assert [site.block for site in configured.check("blocks.*.mlp.hook_post", {})] == [0, 1, 2, 3]
    with pytest.raises(InputError, match="'blocks.4.mlp.hook_post': the model has blocks 0 to 3"):
        configured.check(["blocks.1.mlp.hook_post", "blocks.4.mlp.hook_post"], {})
