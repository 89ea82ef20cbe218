"""The tests; a package, so that helpers are ``tests.fakes`` and not another distribution's ``tests``."""
