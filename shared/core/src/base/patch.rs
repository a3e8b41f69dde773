//! A member of a merge-patch (RFC 7396): absent, null and a value are three different things.

use serde::{Deserialize, Deserializer};
use utoipa::__dev::ComposeSchema;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// `Keep` when the member is absent, else `Set`. A column that may be emptied is a `Patch<Option<T>>`, for which null is
/// `Set(None)`; for a plain `Patch<T>` null is refused.
///
/// Fields of this type carry `#[serde(default)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    #[default]
    Keep,
    Set(T),
}

impl<T> Patch<T> {
    pub fn as_ref(&self) -> Patch<&T> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Set(value) => Patch::Set(value),
        }
    }

    /// What the column holds after the patch.
    pub fn over(self, present: T) -> T {
        match self {
            Self::Keep => present,
            Self::Set(value) => value,
        }
    }

    /// What a text column holds after the patch.
    pub fn over_ref<'a>(self, present: &'a str, text: impl Fn(T) -> &'a str) -> &'a str {
        match self {
            Self::Keep => present,
            Self::Set(value) => text(value),
        }
    }

    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::Set)
    }
}

// Generic types take part in utoipa's derive through this trait: the schema of a patch is the schema of its value.
impl<T: ComposeSchema> ComposeSchema for Patch<T> {
    fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        generics.into_iter().next().unwrap_or_else(|| T::compose(Vec::new()))
    }
}

impl<T: ToSchema + ComposeSchema> ToSchema for Patch<T> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}
