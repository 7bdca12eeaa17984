"""Search over what tenants have configured."""
