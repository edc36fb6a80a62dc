"""`python -m kms_model`: a device node."""

from syncline.kms_model.command import main

raise SystemExit(main())
