"""The address that saved environment specs name. The code is in :mod:`spacetime_env.envs.env`."""

from spacetime_env.envs.env import SpaceTimeEnv, make_env

__all__ = ["SpaceTimeEnv", "make_env"]
