//! Whether a document tells of a person, for whoever is to be forgotten.

use serde_json::Value;

use super::Privacy;

/// A user, as documents may tell of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The login name, and what stands for it where names are keyed.
    names: Vec<String>,
    uid: Option<u32>,
}

impl Person {
    /// A user of this login name, and, where it is known, of this number.
    pub fn new(name: &str, uid: Option<u32>, privacy: &Privacy) -> Self {
        let names = vec![name.to_owned(), privacy.keyed(name)];
        Self { names, uid }
    }

    /// Whether a text is this user's name.
    pub fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }

    /// Whether a number is this user's.
    pub fn has(&self, uid: u32) -> bool {
        self.uid == Some(uid)
    }

    /// Whether a text names the user's folder.
    pub fn is_in_text(&self, text: &str) -> bool {
        text.split("/Users/").skip(1).any(|rest| {
            self.names.iter().any(|name| {
                rest.strip_prefix(name.as_str()).is_some_and(|rest| {
                    !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))
                })
            })
        })
    }

    /// Whether an alert, or what holds one as text, tells of the user: by name or number as the one who acts, or by a folder anywhere in it.
    pub fn is_in(&self, document: &Value) -> bool {
        match document {
            Value::String(text) => {
                self.is_in_text(text)
                    || (text.starts_with('{')
                        && serde_json::from_str(text).is_ok_and(|inner: Value| self.is_in(&inner)))
            }
            Value::Array(items) => items.iter().any(|item| self.is_in(item)),
            Value::Object(members) => {
                let user = members.get("user").and_then(Value::as_object);
                let acts = user.is_some_and(|user| {
                    let number =
                        |key| user.get(key).and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
                    user.get("name").and_then(Value::as_str).is_some_and(|name| self.is_named(name))
                        || ["uid", "auid"].into_iter().filter_map(number).any(|uid| self.has(uid))
                });
                acts || members.values().any(|member| self.is_in(member))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Whether a line of JSON tells of the user. What cannot be read may.
    pub fn is_in_line(&self, line: &str) -> bool {
        serde_json::from_str(line).map_or(true, |document: Value| self.is_in(&document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::samples;

    #[test]
    fn a_user_is_found_by_name_by_number_and_by_folder_and_no_other_is() {
        let person = Person::new("ann", Some(501), &Privacy::default());
        assert!(person.is_in_text("open /Users/ann/x") && person.is_in_text("/Users/ann"));
        assert!(!person.is_in_text("/Users/anna/x") && !person.is_in_text("ann"));
        let mut alert = samples::plain();
        (alert.user.uid, alert.user.auid, alert.user.name) = (Some(502), Some(502), Some("anna".into()));
        assert!(!person.is_in_line(&alert.to_json()));
        alert.user.auid = Some(501);
        assert!(person.is_in_line(&alert.to_json()));
        (alert.user.auid, alert.user.name) = (None, Some("ann".into()));
        let line = alert.to_json();
        assert!(person.is_in_line(&line));
        let letter = serde_json::json!({ "why": "too long", "event": line });
        assert!(person.is_in_line(&letter.to_string()), "inside another document as well");
        assert!(person.is_in_line("{\"cut"), "what cannot be read may tell of anybody");
    }
}
