"""The files of a project: reading, following imports, writing, remembering."""
