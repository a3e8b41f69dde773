//! Stripe: its events, its objects, its API.
