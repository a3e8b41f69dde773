use carhaul_core::lookups::cancel_reasons::{CancelReason, CancelReasonPatch, NewCancelReason};

super::lookup_routes!(
    CancelReason,
    NewCancelReason,
    CancelReasonPatch,
    "/v1/cancel-reasons",
    "cancel_reason",
    "cancel_reasons",
    "cancel reasons",
    "Delete a cancel reason; one that orders give is archived instead."
);
