from __future__ import annotations

import os

import pytest
import samples
import torch
from hypothesis import HealthCheck, settings

# The same examples in every run on CI, new ones at the desk. The first call of a torch function may take seconds.
settings.register_profile("desk", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

torch.set_num_threads(1)  # the tensors here are so small that threads cost more than they give


@pytest.fixture(scope="session")
def lite():
    """A small lite model with random weights, float32."""
    return samples.small_lite()


@pytest.fixture(scope="session")
def lite64():
    return samples.small_lite().double()


@pytest.fixture(scope="session")
def vgg64():
    return samples.SMALL["vgg19"]().double()
