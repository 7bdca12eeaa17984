"""The local supervisor: private servers, five tiers, sample data, one command. The only part that needs the testkit."""
