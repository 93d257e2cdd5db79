"""Where rows and tools come from: files, Python functions, hubs."""
