"""The language server: diagnostics and completion from the same front end that `dspc check` uses."""
