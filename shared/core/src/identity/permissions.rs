//! The permission table: which role may do what. The only place that decides it.
//!
//! Drivers additionally see only what is theirs; row-level security sees to that (the policies `driver_scope`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::error::{Error, Result};
use crate::base::words::Word;

/// A member's role in a carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Admin,
    Dispatcher,
    Accountant,
    Driver,
}

crate::text_column!(Role);

impl Role {
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Dispatcher, Self::Accountant, Self::Driver];
}

macro_rules! actions {
    ($($action:ident $name:tt: $($role:ident)*;)*) => {
        /// Something that a caller may be allowed to do. API keys name them as scopes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub enum Action {
            $(#[serde(rename = $name)] $action,)*
        }

        impl Action {
            pub const ALL: &[Self] = &[$(Self::$action),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$action => $name),* }
            }

            /// The roles that may do it.
            pub fn roles(self) -> &'static [Role] {
                match self { $(Self::$action => &[$(Role::$role),*]),* }
            }
        }
    };
}

actions! {
    TenantRead "tenant:read": Owner Admin Dispatcher Accountant Driver;
    TenantWrite "tenant:write": Owner Admin;
    TenantErase "tenant:erase": Owner;
    ExportsManage "exports:manage": Owner Admin;
    MembersRead "members:read": Owner Admin Dispatcher Accountant;
    MembersWrite "members:write": Owner Admin;
    ApiKeysManage "api_keys:manage": Owner Admin;
    BillingRead "billing:read": Owner Admin;
    BillingManage "billing:manage": Owner Admin;
    ProviderKeysManage "provider_keys:manage": Owner Admin;
    UsageRead "usage:read": Owner Admin Dispatcher Accountant;
    EventsRead "events:read": Owner Admin Dispatcher Accountant Driver;
    LookupsRead "lookups:read": Owner Admin Dispatcher Accountant Driver;
    LookupsWrite "lookups:write": Owner Admin Dispatcher Accountant;
    CustomersRead "customers:read": Owner Admin Dispatcher Accountant;
    CustomersWrite "customers:write": Owner Admin Dispatcher Accountant;
    LocationsRead "locations:read": Owner Admin Dispatcher Accountant;
    LocationsWrite "locations:write": Owner Admin Dispatcher;
    EquipmentRead "equipment:read": Owner Admin Dispatcher Accountant;
    EquipmentWrite "equipment:write": Owner Admin Dispatcher;
    DriversRead "drivers:read": Owner Admin Dispatcher Accountant Driver;
    DriversWrite "drivers:write": Owner Admin Dispatcher;
    OrdersRead "orders:read": Owner Admin Dispatcher Accountant Driver;
    OrdersWrite "orders:write": Owner Admin Dispatcher Accountant;
    OrdersDispatch "orders:dispatch": Owner Admin Dispatcher;
    OrdersRecord "orders:record": Owner Admin Dispatcher Driver;
    DocumentsRead "documents:read": Owner Admin Dispatcher Accountant Driver;
    DocumentsWrite "documents:write": Owner Admin Dispatcher;
    DocumentsRecord "documents:record": Owner Admin Dispatcher Driver;
    TripsRead "trips:read": Owner Admin Dispatcher Accountant Driver;
    TripsWrite "trips:write": Owner Admin Dispatcher;
    TripsRecord "trips:record": Owner Admin Dispatcher Driver;
    SkillsRead "skills:read": Owner Admin Dispatcher Accountant;
    SkillsWrite "skills:write": Owner Admin;
    ExecutionsRead "executions:read": Owner Admin Dispatcher Accountant;
    ExecutionsCreate "executions:create": Owner Admin Dispatcher Accountant;
    ExecutionsReview "executions:review": Owner Admin Dispatcher Accountant;
}

impl Action {
    /// Whether an API key can be given it. People, credentials and money are managed by people.
    pub fn grantable_to_keys(self) -> bool {
        !matches!(
            self,
            Self::TenantWrite
                | Self::TenantErase
                | Self::ExportsManage
                | Self::MembersWrite
                | Self::ApiKeysManage
                | Self::BillingRead
                | Self::BillingManage
                | Self::ProviderKeysManage
        )
    }
}

/// What the caller may do in the tenant that they entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    Role(Role),
    /// Names of actions; those that no longer exist grant nothing.
    Scopes(Vec<String>),
}

impl Grant {
    pub fn allows(&self, action: Action) -> bool {
        match self {
            Self::Role(role) => action.roles().contains(role),
            Self::Scopes(scopes) => action.grantable_to_keys() && scopes.iter().any(|s| s == action.name()),
        }
    }

    /// # Errors
    /// [`Error::Forbidden`] that names what is missing.
    pub fn require(&self, action: Action) -> Result<()> {
        if self.allows(action) {
            return Ok(());
        }
        Err(Error::Forbidden(match self {
            Self::Role(role) => format!("the role {} may not {}", Word(role), action.name()).into(),
            Self::Scopes(_) => format!("the API key lacks the scope {}", action.name()).into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as the README shows it.
    fn table() -> String {
        let mut table = String::from(
            "| | owner | admin | dispatcher | accountant | driver | API key |\n|---|---|---|---|---|---|---|\n",
        );
        for &action in Action::ALL {
            let mark = |yes: bool| if yes { " yes |" } else { " |" };
            let roles: String = Role::ALL.iter().map(|role| mark(action.roles().contains(role))).collect();
            table += &format!("| `{}` |{roles}{}\n", action.name(), mark(action.grantable_to_keys()));
        }
        table
    }

    #[test]
    fn the_readme_shows_this_table() {
        let table = table();
        println!("{table}");
        let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
        let readme = std::fs::read_to_string(readme).expect("README.md is there");
        assert!(readme.contains(&table), "README.md, section Roles, should read:\n\n{table}");
    }

    #[test]
    fn a_scope_is_needed_and_enough_for_a_key_and_some_actions_are_for_people() {
        let key = Grant::Scopes(vec!["orders:read".into(), "members:write".into(), "gone:read".into()]);
        assert!(key.allows(Action::OrdersRead));
        assert!(!key.allows(Action::OrdersWrite));
        assert!(!key.allows(Action::MembersWrite));
    }

    #[test]
    fn a_driver_writes_nothing_but_what_happens_on_the_road() {
        let writes: Vec<_> = Action::ALL
            .iter()
            .filter(|a| !a.name().ends_with(":read") && Grant::Role(Role::Driver).allows(**a))
            .collect();
        assert_eq!(writes, [&Action::OrdersRecord, &Action::DocumentsRecord, &Action::TripsRecord]);
    }
}
