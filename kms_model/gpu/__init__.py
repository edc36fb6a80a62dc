"""The render engines: jobs, scheduler, command lists."""
