"""One module a pass, each with a constant ``PASS``; see `maint.pass_`."""
