"""The address that saved environment specs name. The code is in :mod:`spacetime_env.envs.vector`."""

from spacetime_env.envs.vector import SpaceTimeVectorEnv

__all__ = ["SpaceTimeVectorEnv"]
