"""The tests; a package, so that helpers are ``tests.helpers.fakes`` and not another distribution's ``tests``."""
