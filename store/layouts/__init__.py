"""One module or package a kind of store, each with a constant ``LAYOUT``; see `store.layout`."""
