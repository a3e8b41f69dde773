//! AI skills: the built-in catalogue, and what a carrier makes of it. A skill says what is asked, of whom, and what the input
//! and the output look like; each change is a new version, and an execution names the one that ran.

mod definition;
pub mod prompt;
pub mod rules;
pub mod schema;
mod skill;
mod write;

pub(crate) use self::skill::select_version;
pub use self::skill::{Kind, Provider, Skill, SkillFilter, SkillId, SkillRef, get, list, select_current, versions};
pub use self::write::{NewSkill, SkillPatch, begin_create, begin_update, create, delete, update};
