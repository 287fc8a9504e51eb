"""The version of this program, as it stands in journals and in ``maint --version``."""

VERSION = "0.1.0"
