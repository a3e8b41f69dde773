use carhaul_core::lookups::tags::{NewTag, Tag, TagPatch};

super::lookup_routes!(
    Tag,
    NewTag,
    TagPatch,
    "/v1/tags",
    "tag",
    "tags",
    "tags",
    "Delete a tag, and take it off its orders."
);
