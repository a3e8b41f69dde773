use carhaul_core::lookups::custom_statuses::{CustomStatus, CustomStatusPatch, NewCustomStatus};

super::lookup_routes!(
    CustomStatus,
    NewCustomStatus,
    CustomStatusPatch,
    "/v1/custom-statuses",
    "custom_status",
    "custom_statuses",
    "custom statuses",
    "Delete a custom status; one that orders have is archived instead."
);
