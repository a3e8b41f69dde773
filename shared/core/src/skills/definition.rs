//! What must hold of a skill, however it came to say it.

use serde_json::Value;

use super::{Kind, Provider, prompt, schema};
use crate::base::error::{Result, Violations};

/// What is checked of a skill before it is saved.
pub struct Definition<'a> {
    pub name: &'a str,
    pub kind: Kind,
    pub instructions: &'a str,
    pub input_schema: &'a Value,
    pub output_schema: &'a Value,
    pub provider: Provider,
    pub model: Option<&'a str>,
}

impl Definition<'_> {
    /// # Errors
    /// [`Error::Invalid`](crate::base::error::Error::Invalid) naming each bad field.
    pub fn check(&self) -> Result<()> {
        let mut violations = Violations::default();
        let is_code = Kind::BUILTIN.iter().any(|kind| crate::base::words::Word(kind).to_string() == self.name);
        violations.add_unless(!is_code, "/name", "is the code of a built-in skill");
        for (schema, at) in [(self.input_schema, "/input_schema"), (self.output_schema, "/output_schema")] {
            schema::check_storable(schema, at, &mut violations);
            schema::check_definition(schema, at, &mut violations);
        }
        prompt::check(self.instructions, self.kind, self.input_schema, "/instructions", &mut violations);
        match (self.provider, self.model) {
            (Provider::Rules, _) if self.kind == Kind::Custom => {
                violations
                    .add("/provider", "rules know the built-in skills and their copies alone: name a model's provider");
            }
            (Provider::Rules, Some(_)) => violations.add("/model", "must be left out: rules ask no model"),
            (Provider::Rules, None) | (_, Some(_)) => {}
            (_, None) => violations.add("/model", "is needed for this provider"),
        }
        violations.into_result()
    }
}
