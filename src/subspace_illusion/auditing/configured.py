"""What a model's configuration tells of it, without its weights: for those who let others open a large model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from subspace_illusion.auditing.given_subspaces import given_sites, given_subspaces
from subspace_illusion.core.checkpoints import read_config
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError

_WIDTHS = {True: "hidden_size", False: "intermediate_size"}
"""What a configuration calls the width of a residual vector, and of an MLP's hidden activations."""


class Configured:
    """A model of which the configuration alone is read.

    Args:
        folder: The model's.
    """

    def __init__(self, folder: Path) -> None:
        self._config = read_config(folder).get_text_config()
        self.n_blocks = int(self._config.num_hidden_layers)

    def width(self, site: Site) -> int:
        """How many dimensions a site has that ``knows`` its width."""
        return int(getattr(self._config, _WIDTHS[site.is_residual_vector]))

    def knows(self, site: Site) -> bool:
        """Whether the configuration says for sure how many dimensions a site has."""
        experts = any("expert" in name for name in self._config.to_dict())
        told = site.is_residual_vector or (site.point == "mlp.hook_post" and not experts)
        return told and isinstance(getattr(self._config, _WIDTHS[site.is_residual_vector], None), int)

    def check(self, hooks: str | Sequence[str], subspaces: Mapping[str, Any]) -> list[Site]:
        """The components that hooks name; checks them and the user's subspaces as far as the configuration goes.

        Raises:
            InputError: As ``audit``.
        """
        sites = given_sites(hooks, self.n_blocks)
        if beyond := [site.name for site in sites if site.block >= self.n_blocks]:
            raise InputError(f"'{beyond[0]}': the model has blocks 0 to {self.n_blocks - 1}")
        if known := [site for site in sites if self.knows(site)]:
            given_subspaces(subspaces, known, self)
        return sites
