"""Every picture, drawn from tables and volumes that are on disk. The only room that knows matplotlib."""
