"""The sample pack `completejourney`: a year of real grocery households, campaigns, coupons and redemptions."""
