"""`python -m clients NAME`, from a checkout or installed."""

from syncline.clients.command import main

raise SystemExit(main())
